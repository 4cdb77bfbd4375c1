"""Money that came after we had closed the payment: counted, then given back or accepted."""

from activities.payments import PaymentActivities
from domain.merchant import LatePolicy
from domain.payment import Payment, PaymentStatus
from domain.refund import RefundCause
from workflows.attention import Calls
from workflows.giving_back import give_back, tell_the_end
from workflows.policies import RefundPolicy
from workflows.steps import in_our_books


async def settle_late_money(
    calls: Calls, refund_policy: RefundPolicy, payment: Payment, late_policy: LatePolicy
) -> Payment:
    """The payment after its late money was dealt with, beside the telling. Safe to repeat."""
    policy = calls.policy
    stored = await in_our_books(
        policy, PaymentActivities.capture_late_payment, payment, "count the late money"
    )
    if late_policy is LatePolicy.ACCEPT:
        settled = await in_our_books(
            policy, PaymentActivities.accept_late_payment, stored, "accept the late money"
        )
        calls.beside(tell_the_end(calls, refund_policy, settled.payment, settled.event_id))
        calls.notify(settled.moved_event_id, *settled.refund_event_ids)
        accepted = settled.payment.status is PaymentStatus.SUCCEEDED
        if accepted and not settled.payment.duplicate:
            return settled.payment
        # A duplicate, or part of it was refunded before it could be accepted.
        stored = settled.payment
    elif payment.purchase is not None and payment.purchase.revoked_at is not None:
        # The store has refunded it already, which only the merchant does not know yet.
        settled = await in_our_books(
            policy, PaymentActivities.finalise_payment, stored, "find what the store refunded"
        )
        calls.notify(*settled.refund_event_ids)
    cause = RefundCause.DUPLICATE_PAYMENT if stored.duplicate else RefundCause.LATE_PAYMENT
    await give_back(calls, refund_policy, stored, cause, "paid after the payment had ended")
    return stored
