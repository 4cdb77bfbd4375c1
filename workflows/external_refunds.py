"""Refunds that the provider made without us: found by its cumulative sum, and flagged."""

from uuid import UUID

from temporalio import workflow

from activities.payments import PaymentActivities
from domain.own_refunds import unaccounted
from domain.report import Attention
from workflows.attention import Calls
from workflows.steps import WEIGHED, in_our_books


async def flag_external_refunds(calls: Calls, payment_id: UUID, refunded: int) -> bool:
    """Call an operator where our refunds do not account for all that the provider has refunded.

    `refunded` is the provider's cumulative sum in minor units. Returns whether one was called.
    """
    if not (workflow.patched(WEIGHED) and await _is_external(calls, payment_id, refunded)):
        return False
    subject = told_refunded(refunded)
    why = Attention.EXTERNAL_REFUND
    await calls.about_payment(payment_id, why, f"after the end: {why} ({subject})", subject=subject)
    return True


def told_refunded(refunded: int) -> str:
    """Return what one such alarm is about: the same for whoever finds it."""
    return f"refunded at the provider: {refunded}"


async def _is_external(calls: Calls, payment_id: UUID, refunded: int) -> bool:
    stored = await in_our_books(
        calls.policy, PaymentActivities.load_payment, payment_id, "what our refunds gave back"
    )
    return bool(unaccounted(stored, refunded))
