"""Tomorrow's payment workflow: each change behind a patch of its own."""

from datetime import timedelta

from temporalio import workflow

from activities.payments import PaymentActivities
from domain.payment import Payment
from workflows.payment import PaymentOrder, PaymentWorkflow

BEHIND = "a-look-before-the-order-is-written-down"
AHEAD = "a-look-before-the-end-is-written-down"


async def look(order: PaymentOrder) -> None:
    """The new step."""
    await workflow.execute_local_activity_method(
        PaymentActivities.record_payment,
        order.payment,
        start_to_close_timeout=timedelta(seconds=2),
        schedule_to_close_timeout=timedelta(seconds=5),
    )


@workflow.defn(name="PaymentWorkflow")
class PatchedWorkflow(PaymentWorkflow):
    """Each new step behind a patch of its own: a run takes it where it has not passed it yet."""

    @workflow.init
    def __init__(self, order: PaymentOrder) -> None:
        super().__init__(order)
        self._order = order

    @workflow.run
    async def run(self, order: PaymentOrder) -> Payment:
        if workflow.patched(BEHIND):
            await look(order)
        return await super().run(order)

    async def _finalise(self) -> None:
        if workflow.patched(AHEAD):
            await look(self._order)
        await super()._finalise()
