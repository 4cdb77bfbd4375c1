"""Nothing needs a workflow's history after its end: Temporal may have deleted it."""

import asyncio

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from cli.embedded.stack import Stack
from domain.identity import late_workflow_id, payment_workflow_id, refund_workflow_id
from domain.refund import RefundCause
from tests.stack.books import books_agree
from tests.stack.shop import PROVIDERS, Order, Shop
from tests.stack.waiting import eventually

pytestmark = pytest.mark.stack


class Retention:
    """What Temporal does to closed workflows when their time is over."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def end(self, workflow_id: str) -> None:
        """Delete the closed workflow, and return once nothing of it is there."""

        async def is_closed() -> None:
            found = await self.client.get_workflow_handle(workflow_id).describe()
            assert found.close_time is not None, workflow_id

        await eventually(is_closed)
        await self.client.workflow_service.delete_workflow_execution(
            DeleteWorkflowExecutionRequest(
                namespace=self.client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=workflow_id),
            )
        )

        async def is_gone() -> None:
            assert not await self.knows(workflow_id)

        await eventually(is_gone)

    async def knows(self, workflow_id: str) -> bool:
        """Whether any execution of that id is there."""
        try:
            await self.client.get_workflow_handle(workflow_id).describe()
        except RPCError as error:
            assert error.status is RPCStatusCode.NOT_FOUND  # noqa: PT017 - another one is an error
            return False
        return True


@pytest.fixture
async def retention(whole_stack: Stack) -> Retention:
    return Retention(await whole_stack.temporal_client())


async def refunded(order: Order) -> Order:
    await order.create()
    await order.pay()
    await order.shows(status="succeeded")
    await order.refund(400)
    await order.told("payment.succeeded", "refund.succeeded")
    return order


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_repeated_request_finds_what_was_done_and_does_nothing_again(
    shop: Shop, retention: Retention, provider: str
) -> None:
    order = await refunded(shop.order(provider))
    ids = (payment_workflow_id(order.id), refund_workflow_id(order.refund_id("r1")))
    await asyncio.gather(*(retention.end(each) for each in ids))

    made = await order.create()
    refund = await order.refund(400)
    synced = await order.sync()
    cancelled = await shop.api.post(f"/v1/payments/{order.id}/cancel")

    assert (made["status"], made["refunded"]) == ("succeeded", 400)
    assert refund["status"] == "succeeded"
    assert synced["status"] == "succeeded"
    assert (cancelled.status_code, cancelled.json()["code"]) == (409, "not_cancellable")
    assert [await retention.knows(each) for each in ids] == [False, False]
    assert await order.moves() == [("capture", order.amount), ("refund", 400)]
    await books_agree(shop)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_repeated_notification_is_acknowledged_and_changes_nothing(
    shop: Shop, retention: Retention, provider: str
) -> None:
    order = await refunded(shop.order(provider))
    await retention.end(payment_workflow_id(order.id))

    answer = await order.notify()

    assert answer["accepted"], answer
    await order.shows(status="succeeded", refunded=400, attention=None)
    assert not await retention.knows(payment_workflow_id(order.id))
    assert not await retention.knows(late_workflow_id(order.id))
    assert await order.moves() == [("capture", order.amount), ("refund", 400)]
    await books_agree(shop)


async def test_late_money_is_given_back_once_whatever_history_is_gone(
    shop: Shop, retention: Retention
) -> None:
    order = shop.order("alipay")
    await order.create()
    await order.cancel()
    await order.told("payment.closed")
    await order.pay()
    await order.told("payment.closed", "refund.succeeded")
    refund = order.refund_id(f"automatic:{RefundCause.LATE_PAYMENT}")
    for workflow_id in (payment_workflow_id(order.id), refund_workflow_id(refund)):
        await retention.end(workflow_id)

    assert (await order.notify())["accepted"]

    await order.shows(status="closed", captured=order.amount, refunded=order.amount, attention=None)
    assert not await retention.knows(payment_workflow_id(order.id))
    assert await order.moves() == [("capture", order.amount), ("refund", order.amount)]
    await books_agree(shop)
