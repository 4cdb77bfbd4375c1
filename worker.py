"""The worker process: wires every dependency together and polls. Nobody imports it."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

import httpx
import uvloop
from temporalio.client import Client
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.worker import Worker

from activities.entitlements import EntitlementActivities
from activities.payments import PaymentActivities
from activities.provider_calls import ProviderActivities
from activities.refunds import RefundActivities
from activities.registered import Activities
from activities.webhooks import WebhookActivities
from engine.client import connect
from engine.encryption import KeyRing
from engine.namespace import verify_search_attributes
from engine.tuning import GRACEFUL_STOP, tuning
from providers.bounded import BoundedClient
from providers.registry import Registry, build
from settings import Settings
from storage.database import Database
from storage.entitlements import EntitlementStore
from storage.events import EventStore
from storage.payments import PaymentStore
from storage.refunds import RefundStore
from webhooks.sender import WebhookSender
from workflows import search_attributes
from workflows.policies import TASK_QUEUE, WEBHOOK_QUEUE, provider_queue
from workflows.registered import WORKFLOWS, runner


@asynccontextmanager
async def open_activities(settings: Settings) -> AsyncIterator[tuple[Activities, Registry]]:
    """The activities with their pool, HTTP clients and providers, closed in the end."""
    async with AsyncExitStack() as stack:
        database = Database(settings.read_database_url())
        stack.push_async_callback(database.close)
        http = await stack.enter_async_context(BoundedClient())
        # A proxy would resolve the merchant's name anew, past the address that was checked.
        webhook_http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
        registry = build(
            settings.read_accounts(), http=http, clock=_now, public_url=settings.public_url
        )
        payments = PaymentStore(database)
        sender = WebhookSender(webhook_http, allow_private=settings.is_sandbox, clock=_now)
        yield (
            Activities(
                payments=PaymentActivities(payments),
                refunds=RefundActivities(RefundStore(database)),
                providers=ProviderActivities(registry, payments),
                webhooks=WebhookActivities(EventStore(database), sender),
                entitlements=EntitlementActivities(EntitlementStore(database)),
            ),
            registry,
        )


def workers(client: Client, activities: Activities, providers: Sequence[str]) -> list[Worker]:
    """One worker a queue: a slow provider or merchant fills its own slots only."""
    main = Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=WORKFLOWS,
        activities=activities.workflow_steps(),
        workflow_runner=runner(),
        **tuning(),
    )
    queues = {provider_queue(name): activities.provider_steps() for name in providers}
    queues[WEBHOOK_QUEUE] = activities.webhook_steps()
    return [
        main,
        *(
            Worker(
                client,
                task_queue=queue,
                activities=steps,
                graceful_shutdown_timeout=GRACEFUL_STOP,
            )
            for queue, steps in queues.items()
        ),
    ]


async def main() -> None:
    """Run until SIGTERM or SIGINT, then finish what is under way."""
    settings = Settings()
    client = await connect(
        KeyRing.from_file(settings.payload_keys_file), runtime=_runtime(settings.metrics_address)
    )
    await verify_search_attributes(client, search_attributes.ALL)
    stopped = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    async with open_activities(settings) as (activities, registry), AsyncExitStack() as running:
        names = sorted({provider.name for provider in registry.all()})
        for worker in workers(client, activities, names):
            await running.enter_async_context(worker)
        logging.getLogger(__name__).info("polling for %s", ", ".join(names))
        await stopped.wait()


def _runtime(metrics_address: str | None) -> Runtime | None:
    if metrics_address is None:
        return None
    metrics = PrometheusConfig(bind_address=metrics_address, durations_as_seconds=True)
    return Runtime(telemetry=TelemetryConfig(metrics=metrics))


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # Request lines of provider calls carry signed order strings.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    uvloop.run(main())
