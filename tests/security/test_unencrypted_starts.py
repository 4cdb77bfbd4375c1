"""What a client without our payload keys must not start."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import (
    ActivityFailureError,
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleSpec,
    WithStartWorkflowOperation,
)
from temporalio.common import RawValue, RetryPolicy, WorkflowIDConflictPolicy
from temporalio.service import RPCError

from activities.provider_calls import Submission
from tests.api.house import House, ProviderSide, Shop, eventually
from tests.security.keyless import (
    Target,
    activity_of,
    forged_order,
    has_failed,
    is_untouched,
    notification,
    workflow_id,
)
from workflows.late_payment import LateOrder
from workflows.policies import TASK_QUEUE, provider_queue

MARKED = {"encoding": b"json/plain", "__temporal_external_storage_reference": b"true"}


async def test_an_unencrypted_start_orders_nothing(
    house: House, provider: ProviderSide, target: Target
) -> None:
    order = await forged_order(house, target)
    forged = {"id": str(order.payment.id), "provider": order.payment.provider}
    started = await target.client.start_workflow(
        "PaymentWorkflow", order, id=workflow_id(forged), task_queue=TASK_QUEUE
    )

    await has_failed(started)
    assert await provider.orders(forged) == []
    payments = house.dependencies.stores.payments
    assert await payments.get(order.payment.id) is None


@pytest.mark.parametrize("forged", ["nothing", "copied", "marked"])
@pytest.mark.parametrize(
    "kind", ["PaymentWorkflow", "RefundWorkflow", "LatePaymentWorkflow", "EntitlementWorkflow"]
)
async def test_no_workflow_starts_with_arguments_of_a_stranger(
    target: Target, kind: str, forged: str
) -> None:
    arguments = {
        "nothing": [],
        "copied": [RawValue(payload) for payload in await target.inputs()],
        "marked": [RawValue(Payload(metadata=MARKED, data=b"{}"))],
    }[forged]
    started = await target.client.start_workflow(
        kind, args=arguments, id=f"payment-{uuid4().hex}", task_queue=TASK_QUEUE
    )

    await has_failed(started)


async def test_a_strangers_signal_with_start_starts_nothing(
    house: House, payment: dict[str, Any], target: Target
) -> None:
    order = await forged_order(house, target)
    started = await target.client.start_workflow(
        "LatePaymentWorkflow",
        LateOrder(payment=order.payment, policy=order.policy),
        id=f"late-{order.payment.id.hex}",
        task_queue=TASK_QUEUE,
        start_signal="notify",
        start_signal_args=[notification(payment)],
    )

    await has_failed(started)


async def test_a_strangers_schedule_starts_nothing(house: House, target: Target) -> None:
    action = ScheduleActionStartWorkflow(
        "PaymentWorkflow",
        await forged_order(house, target),
        id=f"forged-{uuid4().hex}",
        task_queue=TASK_QUEUE,
    )
    schedule = await target.client.create_schedule(
        f"forged-{uuid4().hex}", Schedule(action=action, spec=ScheduleSpec())
    )
    await schedule.trigger()

    async def run() -> str | None:
        actions = (await schedule.describe()).info.recent_actions
        if not actions:
            return None
        [execution] = [action.action for action in actions]
        assert isinstance(execution, ScheduleActionExecutionStartWorkflow)
        return execution.workflow_id

    await has_failed(target.client.get_workflow_handle(await eventually(run)))
    await schedule.delete()


async def test_a_strangers_update_with_start_starts_nothing(
    house: House, provider: ProviderSide, target: Target
) -> None:
    order = await forged_order(house, target)
    forged = {"id": str(order.payment.id), "provider": order.payment.provider}
    operation: Any = WithStartWorkflowOperation(
        "PaymentWorkflow",
        order,
        id=workflow_id(forged),
        task_queue=TASK_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
    )
    with pytest.raises(RPCError, match="aborted by closing workflow"):
        await target.client.execute_update_with_start_workflow(
            "checkout", order.payment.request_hash, start_workflow_operation=operation
        )

    with pytest.raises(RPCError):
        await operation.workflow_handle()
    await has_failed(target.client.get_workflow_handle(workflow_id(forged)))
    assert await provider.orders(forged) == []


@pytest.mark.parametrize("forged", ["plain", "copied"])
async def test_an_activity_without_a_workflow_of_ours_never_runs(
    house: House, provider: ProviderSide, target: Target, forged: str
) -> None:
    order = await forged_order(house, target)
    argument: Any = Submission(payment=order.payment, ask_first=False)
    if forged == "copied":
        # The right kind of argument, encrypted by us: of the same activity of another workflow.
        context = activity_of(target.workflow_id, "create_checkout", target.client.namespace)
        ours = house.dependencies.temporal.data_converter.with_context(context)
        [payload] = await ours.encode([argument])
        argument = RawValue(payload)
    started = await target.client.start_activity(
        "create_checkout",
        argument,
        id=f"forged-{uuid4().hex}",
        task_queue=provider_queue(order.payment.provider),
        start_to_close_timeout=timedelta(seconds=10),
        retry_policy=RetryPolicy(maximum_attempts=1),
    )

    with pytest.raises(ActivityFailureError):
        await asyncio.wait_for(started.result(), 20)
    forgery = {"id": str(order.payment.id), "provider": order.payment.provider}
    assert await provider.orders(forgery) == []


@pytest.mark.parametrize("ended", ["paid", "terminated"])
async def test_a_payments_own_start_used_again_moves_nothing(
    house: House,
    shop: Shop,
    provider: ProviderSide,
    payment: dict[str, Any],
    target: Target,
    ended: str,
) -> None:
    own = [RawValue(payload) for payload in await target.inputs()]
    if ended == "paid":
        await provider.pay(payment)
        await provider.notify(payment)
        await house.ended(payment)
    else:
        await target.handle.terminate("a stranger")
    before = await shop.read(payment)

    await target.client.start_workflow(
        "PaymentWorkflow", args=own, id=target.workflow_id, task_queue=TASK_QUEUE
    )

    await target.has_processed_all()
    assert len(await provider.orders(payment)) == 1
    if ended == "paid":
        await house.ended(payment)
        assert await shop.read(payment) == before
    else:
        await is_untouched(house, shop, provider, payment)
