"""A payment workflow that somebody changed without a patch: what the replay test must catch."""

from temporalio import workflow

from domain.payment import Payment
from workflows.payment import PaymentOrder, PaymentWorkflow


@workflow.defn(name="PaymentWorkflow")
class HastilyChangedWorkflow(PaymentWorkflow):
    @workflow.init
    def __init__(self, order: PaymentOrder) -> None:
        super().__init__(order)

    @workflow.run
    async def run(self, order: PaymentOrder) -> Payment:
        await workflow.sleep(1)
        return await super().run(order)
