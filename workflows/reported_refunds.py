"""Refunds that reports show and we did not make: recorded where a report says all, else flagged."""

from uuid import UUID

from temporalio import workflow
from temporalio.exceptions import FailureError

from activities.payments import PaymentActivities
from activities.refunds import RefundActivities
from domain.own_refunds import unaccounted
from domain.payment import Payment
from domain.refund import ConsoleRefund, external_refund
from domain.report import Attention, RefundOutcome, RefundReport
from workflows.attention import Calls
from workflows.policies import Policy
from workflows.refund_confirmation import load_refund
from workflows.steps import WEIGHED, in_our_books


async def flag_external_refunds(calls: Calls, payment_id: UUID, refunded: int) -> bool:
    """Call an operator where our refunds do not account for all that the provider has refunded.

    `refunded` is the provider's cumulative sum in minor units. Returns whether one was called.
    """
    if not (workflow.patched(WEIGHED) and await _is_external(calls, payment_id, refunded)):
        return False
    subject = refunded_subject(refunded)
    why = Attention.EXTERNAL_REFUND
    await calls.about_payment(
        payment_id, why, f"after the end: {why} ({subject})", subject=subject, refunded=refunded
    )
    return True


async def record_external_refund(
    policy: Policy, payment: Payment, report: RefundReport
) -> UUID | None:
    """Record the refund of a notification that names no refund of ours; its event's id.

    None where that cannot be done: the report leaves something open, the refund is ours, or it is
    more than is refundable here. Then it is for an operator.
    """
    is_complete = report.outcome is RefundOutcome.SUCCEEDED and bool(report.amount)
    if not is_complete or report.mismatch is not None or report.reference != payment.reference:
        return None
    if await load_refund(policy, report) is not None:  # untraced: test_late_payment
        return None
    made = ConsoleRefund(  # untraced: test_late_payment
        number=report.refund_reference,
        amount=report.amount or 0,
        refunded_at=report.refunded_at or workflow.now(),
        raw_status=report.raw_status,
    )
    try:  # untraced: test_late_payment
        settled = await in_our_books(
            policy,
            RefundActivities.record_external_refund,
            external_refund(payment, made),
            "record the refund",
        )
    except FailureError:
        return None
    return settled.event_id


def refunded_subject(refunded: int) -> str:
    """Return what one such alarm is about: the same for whoever finds it."""
    return f"refunded at the provider: {refunded}"


async def _is_external(calls: Calls, payment_id: UUID, refunded: int) -> bool:
    stored = await in_our_books(
        calls.policy, PaymentActivities.load_payment, payment_id, "what our refunds gave back"
    )
    return bool(unaccounted(stored, refunded))
