"""A refund that was made at the provider's console: recorded once, and sent to the merchant."""

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from activities.refunds import RefundActivities
from domain.frozen import Frozen
from domain.refund import Refund
from workflows import details
from workflows.failures import refusal
from workflows.policies import RefundPolicy, refund_policy
from workflows.steps import in_our_books, tell_merchant


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
        workflow.set_current_details(details.refund_now(order.refund, "Recording"))
        try:
            settled = await in_our_books(
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
        workflow.set_current_details(details.refund_now(settled.refund, "Recorded"))
        await tell_merchant(order.policy, settled.event_id)
        return settled.refund

    @workflow.update(description="Waits until the refund is recorded")
    async def recorded(self) -> Refund:
        """Return the refund as stored, or raise why it can't be recorded."""
        await workflow.wait_condition(lambda: bool(self._recorded or self._refused))
        if self._recorded is None:
            raise self._refused or ApplicationError("not recorded")
        return self._recorded
