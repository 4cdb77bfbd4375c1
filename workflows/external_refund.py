"""Refunds made at the provider without us: recorded where a report says all, else flagged."""

from uuid import UUID

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from activities.payments import PaymentActivities
from activities.refunds import RefundActivities
from domain.frozen import Frozen
from domain.own_refunds import unaccounted
from domain.payment import Payment
from domain.refund import ConsoleRefund, Refund, external_refund
from domain.report import Attention, RefundOutcome, RefundReport
from workflows import operator_view
from workflows.attention import Calls
from workflows.failures import refusal
from workflows.policies import Policy, RefundPolicy, refund_policy
from workflows.refund_confirmation import load_refund
from workflows.steps import deliver_event, in_database


class ExternalRefundOrder(Frozen):
    """What an external refund's workflow is started with: the refund as it ended."""

    refund: Refund
    policy: RefundPolicy = refund_policy()


@workflow.defn
class ExternalRefundWorkflow:
    """Record the refund, then deliver its event. No money moves by it."""

    @workflow.init
    def __init__(self, order: ExternalRefundOrder) -> None:
        self._recorded: Refund | None = None
        self._refused: ApplicationError | None = None

    @workflow.run
    async def run(self, order: ExternalRefundOrder) -> Refund:
        """Return the refund as stored. Fails where it can't be one of the payment's."""
        workflow.set_current_details(operator_view.refund_now(order.refund, "Recording"))
        try:
            settled = await in_database(
                order.policy,
                RefundActivities.record_external_refund,
                order.refund,
                "record the refund",
            )
        except FailureError as error:
            self._refused = refusal(error) or ApplicationError(str(error))
            await workflow.wait_condition(workflow.all_handlers_finished)
            raise
        self._recorded = settled.refund
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.set_current_details(operator_view.refund_now(settled.refund, "Recorded"))
        await deliver_event(order.policy, settled.event_id)
        return settled.refund

    @workflow.update(description="Waits until the refund is recorded")
    async def recorded(self) -> Refund:
        """Return the refund as stored, or raise why it can't be recorded."""
        await workflow.wait_condition(lambda: bool(self._recorded or self._refused))
        if self._recorded is None:
            raise self._refused or ApplicationError("not recorded")
        return self._recorded


async def flag_external_refunds(calls: Calls, payment_id: UUID, refunded: int) -> bool:
    """Call an operator where our refunds do not account for all that the provider has refunded.

    `refunded` is the provider's cumulative sum in minor units. Returns whether one was called.
    """
    if not await _is_external(calls, payment_id, refunded):
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
        settled = await in_database(
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
    stored = await in_database(
        calls.policy, PaymentActivities.load_payment, payment_id, "what our refunds gave back"
    )
    return bool(unaccounted(stored, refunded))
