"""The stage of workflow tests, for pytest and for recording histories alike."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment
from temporalio.worker import Worker

from activities.entitlements import EntitlementActivities
from activities.payments import PaymentActivities
from activities.refunds import RefundActivities
from activities.registered import Activities
from storage.database import Database
from tests.workflows.scripted import ScriptedProvider
from tests.workflows.shop import Shop
from workflows import search_attributes
from workflows.policies import TASK_QUEUE, WEBHOOK_QUEUE, provider_queue
from workflows.registered import WORKFLOWS, runner

TEMPORAL = Path(".venv/bin/temporal").resolve()
# The strict sandbox and coverage make a task dear: on a busy machine fifty at once would each need
# longer than the server grants one, and be begun anew for ever.
TASKS_AT_ONCE = 8


@asynccontextmanager
async def open_temporal(*configured: str) -> AsyncIterator[WorkflowEnvironment]:
    """The product's own server binary, with the clock of each run under the test's hand.

    `configured` are further values of its dynamic configuration, `name=value`.
    """
    values = ("frontend.WorkflowTimeSkippingEnabled=true", *configured)
    async with await WorkflowEnvironment.start_time_skipping_v2(
        ts_config=TimeSkippingConfig(enabled=False),
        dev_server_existing_path=str(TEMPORAL),
        dev_server_extra_args=[
            argument for value in values for argument in ("--dynamic-config-value", value)
        ],
        search_attributes=search_attributes.ALL,
        data_converter=pydantic_data_converter,
    ) as env:
        yield env


@asynccontextmanager
async def open_shop(temporal: WorkflowEnvironment, database: Database) -> AsyncIterator[Shop]:
    """Workers with the strict workflow sandbox, the real activities and the real books."""
    shop = Shop(temporal, database, ScriptedProvider())
    async with AsyncExitStack() as running:
        for worker in _workers(temporal.client, shop):
            await running.enter_async_context(worker)
        yield shop


def _workers(client: Client, shop: Shop) -> list[Worker]:
    activities = Activities(
        payments=PaymentActivities(shop.payments),
        refunds=RefundActivities(shop.refunds),
        providers=shop.providers,
        webhooks=shop.webhooks,
        entitlements=EntitlementActivities(shop.entitlements),
    )
    queues = {
        provider_queue(shop.provider.name): activities.provider_steps(),
        WEBHOOK_QUEUE: activities.webhook_steps(),
    }
    payments = Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=WORKFLOWS,
        workflow_runner=runner(strict=True),
        activities=activities.workflow_steps(),
        max_concurrent_workflow_tasks=TASKS_AT_ONCE,
    )
    others = [Worker(client, task_queue=name, activities=steps) for name, steps in queues.items()]
    return [payments, *others]
