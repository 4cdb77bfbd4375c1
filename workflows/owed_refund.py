"""Money that we owe back (late, duplicate, vetoed): an operator must know where a refund fails."""

from activities.payments import Flag, PaymentActivities
from activities.refunds import RefundActivities
from domain.payment import Payment, PaymentStatus
from domain.refund import Refund, RefundCause
from domain.report import Attention
from workflows.attention import Calls
from workflows.policies import RefundPolicy
from workflows.steps import WaitAlarm, in_our_books


async def reserve(policy: RefundPolicy, calls: Calls, refund: Refund) -> Refund:
    """Set the refund's money aside; returns the stored refund. Raises FailureError where refused.

    An automatic refund waits while other refunds hold all of the money: an operator is called once.
    """
    waiting = Flag(
        payment_id=refund.payment_id,
        attention=Attention.OUTCOME_UNKNOWN,
        detail=f"the refund for {refund.cause} waits: other refunds hold the money",
        subject=refund.reference,
    )
    called = False

    async def call() -> None:
        nonlocal called
        called = True
        await calls.about_payment(
            waiting.payment_id, waiting.attention, waiting.detail, subject=waiting.subject
        )

    alarmed = policy.final_within is not None and refund.cause is not RefundCause.REQUESTED
    try:
        return await in_our_books(
            policy,
            RefundActivities.reserve_refund,
            refund,
            "set the money aside",
            alarm=WaitAlarm(policy.alarm_after, call) if alarmed else None,
        )
    finally:
        if called:
            await in_our_books(policy, PaymentActivities.clear_flag, waiting, "clear the flag")


async def call_where_owed(
    calls: Calls, payment: Payment, refund: Refund, *, ended: bool = True
) -> None:
    """Flag the payment where money is owed that this refund, which has failed, did not move.

    `payment` is as the refund's workflow was started with; `ended` is false where the refund was
    refused before it held anything.
    """
    freed = ended and await _frees_what_is_owed(calls, payment, refund)
    if freed or refund.cause is not RefundCause.REQUESTED:
        await calls.about_payment(
            refund.payment_id,
            Attention.REFUND_FAILED,
            f"the refund for {refund.cause} failed",
        )


async def _frees_what_is_owed(calls: Calls, payment: Payment, refund: Refund) -> bool:
    """Whether the merchant's own refund held money of a payment that goes back as a whole.

    Our refund took the rest, so nothing is after this part any more.
    """
    if not _is_owed(payment):
        return False
    stored = await in_our_books(
        calls.policy,
        PaymentActivities.load_payment,
        refund.payment_id,
        "whether the money is owed back",
    )
    return _is_owed(stored) and stored.refundable > 0


def _is_owed(payment: Payment) -> bool:
    """Late money that was not accepted, and a second payment of one order, go back."""
    late = payment.late and payment.status is not PaymentStatus.SUCCEEDED
    return late or payment.duplicate
