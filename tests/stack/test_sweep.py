"""What no workflow is working on any more is found and started again."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.testing import ActivityEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.sweep import MOST_RESTARTS_A_DAY, Finding, Page, SweepActivities
from cli.embedded.stack import Stack
from domain.alarm import AlarmKind
from domain.identity import payment_workflow_id, refund_workflow_id
from providers.registry import Registry
from storage.alarms import AlarmStore
from storage.database import Database
from tests.stack.books import books_agree
from tests.stack.shop import Order, Shop
from tests.stack.waiting import eventually
from workflows.policies import SWEEP_QUEUE
from workflows.sweep import SweepReport, SweepWorkflow

pytestmark = pytest.mark.stack


class Operator:
    """Terminates what should never be terminated, and runs the sweep before its time."""

    def __init__(self, client: Client, database: Database) -> None:
        self.client = client
        self.database = database

    async def terminate(self, workflow_id: str) -> None:
        await self.client.get_workflow_handle(workflow_id).terminate("by mistake")

    async def sweep(self) -> SweepReport:
        return await self.client.execute_workflow(
            SweepWorkflow.run,
            SweepReport(older_than=0),
            id=f"sweep-{uuid4().hex}",
            task_queue=SWEEP_QUEUE,
            execution_timeout=timedelta(seconds=60),
        )

    async def alarms(self, workflow_id: str) -> list[tuple[AlarmKind, int]]:
        raised = await AlarmStore(self.database).list_newest()
        return [(each.kind, each.count) for each in raised if each.subject == workflow_id]


@pytest.fixture
async def operator(whole_stack: Stack) -> AsyncIterator[Operator]:
    database = Database(whole_stack.database_url)
    yield Operator(await whole_stack.temporal_client(), database)
    await database.close()


async def waiting_for_its_payer(shop: Shop, provider: str) -> Order:
    order = shop.order(provider)
    await order.create()
    return order


@pytest.mark.parametrize("provider", ["alipay", "wechatpay", "unionpay"])
async def test_a_payment_whose_workflow_is_gone_is_not_lost(
    shop: Shop, operator: Operator, provider: str
) -> None:
    order = await waiting_for_its_payer(shop, provider)
    workflow_id = payment_workflow_id(order.id)
    await operator.terminate(workflow_id)
    await order.pay(notify=False)

    report = await operator.sweep()

    assert report.restarted >= 1
    await order.told("payment.succeeded")
    await order.shows(status="succeeded", captured=order.amount, attention=None)
    assert await operator.alarms(workflow_id) == [(AlarmKind.WORKFLOW_RESTARTED, 1)]
    assert await order.moves() == [("capture", order.amount)]
    await books_agree(shop)


async def test_a_payment_that_is_started_again_still_waits_for_its_payer(
    shop: Shop, operator: Operator
) -> None:
    order = await waiting_for_its_payer(shop, "wechatpay")
    await operator.terminate(payment_workflow_id(order.id))
    await operator.sweep()

    await order.pay()

    await order.told("payment.succeeded")
    assert await order.moves() == [("capture", order.amount)]


async def test_a_payment_that_nobody_can_pay_is_closed_and_not_submitted_again(
    shop: Shop, operator: Operator
) -> None:
    order = shop.order("wechatpay")
    # The workflow is gone before the provider has answered.
    await order.fault("create", "system_error", times=50)
    creating = await shop.api.post("/v1/payments", json=order.body)
    assert creating.json()["checkout"] is None
    await operator.terminate(payment_workflow_id(order.id))

    await operator.sweep()

    await order.told("payment.closed")
    assert await order.moves() == []


async def test_a_refund_whose_workflow_is_gone_gives_back_once(
    shop: Shop, operator: Operator
) -> None:
    order = await waiting_for_its_payer(shop, "wechatpay")
    await order.pay()
    await order.shows(status="succeeded")
    await order.fault("refund", "system_error", times=50)
    answer = await shop.api.post(
        f"/v1/payments/{order.id}/refunds",
        json={"amount": 300},
        headers={"Idempotency-Key": "r1"},
    )
    assert answer.json()["status"] == "pending", answer.text
    await operator.terminate(refund_workflow_id(order.refund_id("r1")))
    await shop.sandbox.delete("/_sandbox/faults")

    await operator.sweep()

    await order.refund_shows(status="succeeded", amount=300)
    await order.told("payment.succeeded", "refund.succeeded")
    assert await order.moves() == [("capture", order.amount), ("refund", 300)]


async def test_an_end_that_nobody_was_notified_of_is_announced(
    shop: Shop, operator: Operator
) -> None:
    await shop.answer_webhooks(500)
    order = await waiting_for_its_payer(shop, "wechatpay")
    await order.pay()
    await order.shows(status="succeeded")
    workflow_id = payment_workflow_id(order.id)
    await operator.terminate(workflow_id)
    await shop.answer_webhooks(200)

    await operator.sweep()

    await order.told("payment.succeeded")


async def test_what_is_well_is_left_alone(shop: Shop, operator: Operator) -> None:
    order = await waiting_for_its_payer(shop, "wechatpay")
    handle = operator.client.get_workflow_handle(payment_workflow_id(order.id))
    before = (await handle.describe()).run_id

    report = await operator.sweep()

    assert report.examined >= 1
    assert (await handle.describe()).run_id == before
    assert await operator.alarms(payment_workflow_id(order.id)) == []


@workflow.defn(name="Stuck")
class Stuck:
    @workflow.run
    async def run(self) -> None:
        raise ValueError("not a failure of the workflow, but of its task")


async def test_a_workflow_whose_tasks_fail_is_left_to_an_operator_who_may_terminate_it(
    shop: Shop, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may wait for a worker of the right build, and what it holds must not be lost.

    It is named however young its payment is.
    """
    monkeypatch.setattr("activities.sweep.YOUNGEST", 0.0)
    order = await waiting_for_its_payer(shop, "wechatpay")
    workflow_id, queue = payment_workflow_id(order.id), f"stuck-{uuid4().hex}"
    await operator.terminate(workflow_id)
    sweeping = SweepActivities(operator.client, Registry([]), operator.database)
    async with Worker(
        operator.client,
        task_queue=queue,
        workflows=[Stuck],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        stuck = await operator.client.start_workflow("Stuck", id=workflow_id, task_queue=queue)

        async def found() -> Finding:
            page = await ActivityEnvironment().run(sweeping.examine_payments, Page(older_than=600))
            findings = [
                each.finding for each in page.found if each.finding.workflow_id == workflow_id
            ]
            assert findings
            [finding] = findings
            return finding

        finding = await eventually(found)
    assert "workflow task failed 1 times, at first workflow_worker_unhandled" in finding.reason
    assert not await ActivityEnvironment().run(sweeping.report_finding, finding)
    assert (await stuck.describe()).status is WorkflowExecutionStatus.RUNNING
    assert await operator.alarms(workflow_id) == [(AlarmKind.WORKFLOW_STALLED, 1)]

    await operator.terminate(workflow_id)
    await operator.sweep()

    await order.pay()
    await order.told("payment.succeeded")


async def test_a_workflow_that_is_lost_again_and_again_is_left_to_an_operator(
    operator: Operator,
) -> None:
    sweeping = SweepActivities(operator.client, Registry([]), operator.database)
    lost = Finding(workflow_id=f"payment-{uuid4().hex}", reason="no open workflow")

    restarts = [
        await ActivityEnvironment().run(sweeping.report_finding, lost)
        for _ in range(MOST_RESTARTS_A_DAY + 1)
    ]

    assert restarts == [True] * MOST_RESTARTS_A_DAY + [False]
    assert dict(await operator.alarms(lost.workflow_id)) == {
        AlarmKind.WORKFLOW_RESTARTED: MOST_RESTARTS_A_DAY + 1,
        AlarmKind.WORKFLOW_STALLED: 1,
    }
