"""A deploy that changes the payment workflow under payments that are on their way."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.client import WorkflowExecutionStatus, WorkflowHistory
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.entitlements import EntitlementActivities
from activities.payments import PaymentActivities
from activities.refunds import RefundActivities
from activities.registered import Activities
from activities.webhooks import WebhookActivities
from api.payments.workflow_input import payment_order
from domain.payment import PaymentStatus
from storage.database import Database
from tests.verification.crash.changed import AHEAD, BEHIND, PatchedWorkflow
from tests.workflows.changed import HastilyChangedWorkflow
from tests.workflows.scripted import ScriptedProvider
from tests.workflows.shop import PaymentRun, Shop, eventually
from tests.workflows.stage import open_temporal
from workflows.late_payment import LatePaymentWorkflow
from workflows.payment import PaymentWorkflow
from workflows.policies import TASK_QUEUE, WEBHOOK_QUEUE, provider_queue
from workflows.refund import RefundWorkflow
from workflows.registered import runner
from workflows.starting import payment_options

OTHER_STEPS = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR
NOT_UNDERSTOOD = (
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE
)


@pytest.fixture(scope="module")
async def temporal() -> AsyncIterator[WorkflowEnvironment]:
    """A server of these tests' own: its queue has the workers that they deploy, and no other."""
    async with open_temporal() as env:
        yield env


@pytest.fixture
def shop(temporal: WorkflowEnvironment, database: Database) -> Shop:
    return Shop(temporal, database, ScriptedProvider())


@asynccontextmanager
async def deployed(shop: Shop, payments: type[PaymentWorkflow]) -> AsyncIterator[None]:
    """The workers of one release."""
    steps = Activities(
        payments=PaymentActivities(shop.payments),
        refunds=RefundActivities(shop.refunds),
        providers=shop.providers,
        webhooks=WebhookActivities(
            shop.events,
            shop.merchants,  # type: ignore[arg-type] # stands in for the sender
        ),
        entitlements=EntitlementActivities(shop.entitlements),
    )
    main = Worker(
        shop.client,
        task_queue=TASK_QUEUE,
        workflows=[payments, RefundWorkflow, LatePaymentWorkflow],
        activities=steps.workflow_steps(),
        workflow_runner=runner(),
    )
    queues = {
        provider_queue(shop.provider.name): steps.provider_steps(),
        WEBHOOK_QUEUE: steps.webhook_steps(),
    }
    async with AsyncExitStack() as running:
        await running.enter_async_context(main)
        for queue, carried in queues.items():
            worker = Worker(shop.client, task_queue=queue, activities=carried)
            await running.enter_async_context(worker)
        yield


def patches(history: WorkflowHistory) -> str:
    """What the markers of the run say, as one text."""
    marked = (e.marker_recorded_event_attributes for e in history.events)
    return "".join(
        payload.data.decode(errors="replace")
        for attributes in marked
        if attributes.marker_name == "core_patch"
        for payloads in attributes.details.values()
        for payload in payloads.payloads
    )


async def refused_tasks(run: PaymentRun, cause: WorkflowTaskFailedCause.ValueType) -> int:
    """How often a worker could not go on with the run, for this cause."""
    return sum(
        event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
        and event.workflow_task_failed_event_attributes.cause == cause
        for event in (await run.fetch_history()).events
    )


async def test_a_running_payment_survives_a_deploy_that_patches_its_workflow(shop: Shop) -> None:
    order = await shop.order()
    async with deployed(shop, PaymentWorkflow):
        run, payment = await shop.pending(order)

    async with deployed(shop, PatchedWorkflow):
        shop.provider.pay(payment.reference)
        await shop.notify(run, order)
        ended = await run.result()
        new = await shop.order()
        await shop.paid(new)

    assert ended.status is PaymentStatus.SUCCEEDED
    assert (await shop.row(payment)).captured == payment.amount
    assert shop.merchants.heard(payment) == ["payment.succeeded"]
    assert shop.provider.sent("create", payment.reference) == 1
    taken = patches(await run.fetch_history())
    assert AHEAD in taken
    assert BEHIND not in taken
    taken = patches(await shop.run(new).fetch_history())
    assert AHEAD in taken
    assert BEHIND in taken


async def test_a_deploy_without_a_patch_halts_running_payments_and_loses_none(shop: Shop) -> None:
    order = await shop.order()
    async with deployed(shop, PaymentWorkflow):
        run, payment = await shop.pending(order)
    shop.provider.pay(payment.reference)

    async with deployed(shop, HastilyChangedWorkflow):
        await shop.notify(run, order)
        await eventually(lambda: refused_tasks(run, OTHER_STEPS))
        assert (await shop.row(payment)).status is PaymentStatus.PENDING

    async with deployed(shop, PatchedWorkflow):
        assert (await run.result()).status is PaymentStatus.SUCCEEDED

    assert shop.merchants.heard(payment) == ["payment.succeeded"]
    assert shop.provider.sent("create", payment.reference) == 1


async def test_a_run_of_a_newer_release_is_not_begun_by_an_older_one(shop: Shop) -> None:
    order = await shop.order()
    newer = order.model_dump(mode="json")
    newer["policy"]["a_step_of_tomorrow"] = True
    options = payment_options(order)

    async with deployed(shop, PaymentWorkflow):
        await shop.client.start_workflow(
            "PaymentWorkflow", newer, id=options.id, task_queue=options.task_queue
        )
        run = shop.run(order)
        await eventually(lambda: refused_tasks(run, NOT_UNDERSTOOD))

    assert (await run.describe()).status is WorkflowExecutionStatus.RUNNING
    assert await shop.payments.get(order.payment.id) is None
    assert shop.provider.calls == []
    # An older API can still say what was ordered.
    ordered = await payment_order(shop.client, order.payment.id)
    assert ordered is not None
    assert ordered.payment == order.payment
    await run.terminate()
