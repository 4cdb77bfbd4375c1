"""The workers of each queue, with every activity wired to what it needs."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

import httpx
from temporalio.client import Client
from temporalio.worker import Interceptor, Worker, WorkerDeploymentConfig

from activities.entitlements import EntitlementActivities
from activities.payments import PaymentActivities
from activities.provider_calls import ProviderActivities
from activities.refunds import RefundActivities
from activities.registered import Activities
from activities.webhooks import MOST_TOGETHER, WebhookActivities
from crypto.encryption import Encryption
from crypto.key_ring import KeyRing
from engine.client import meter
from engine.guard import GuardedRunner
from engine.tuning import GRACEFUL_STOP, tuning
from providers.kit.bounded_client import BoundedClient
from providers.registry import Registry, build
from settings import Settings
from storage.alarms import AlarmStore
from storage.database import Database
from storage.entitlements import EntitlementStore
from storage.events import EventStore
from storage.payments import PaymentStore
from storage.refunds import RefundStore
from webhooks.sender import WebhookSender
from webhooks.stored_secrets import StoredSecrets
from webhooks.transport import webhook_client
from workflows.policies import EAGER_QUEUE, RUN_QUEUES, WEBHOOK_QUEUE, provider_queue
from workflows.registered import WORKFLOWS, runner

# Deliveries by the queue at the same time; each merchant has a share (activities/webhooks.py).
WEBHOOK_SLOTS = 200
# One for each delivery, within tasks or by the queue: none waits in the pool for another's.
_WEBHOOK_CONNECTIONS = httpx.Limits(
    max_connections=WEBHOOK_SLOTS + MOST_TOGETHER, max_keepalive_connections=0
)


@asynccontextmanager
async def open_activities(
    settings: Settings, database: Database
) -> AsyncIterator[tuple[Activities, Registry]]:
    """The activities on this database with HTTP clients and providers, closed in the end."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(BoundedClient())
        webhook_http = await stack.enter_async_context(webhook_client(limits=_WEBHOOK_CONNECTIONS))
        registry = build(
            settings.read_accounts(), http=http, clock=_now, public_url=settings.public_url
        )
        payments = PaymentStore(database)
        ring = KeyRing.from_file(settings.payload_keys_file)
        sender = WebhookSender(
            webhook_http,
            allow_private=settings.is_sandbox,
            stored_secrets=StoredSecrets(Encryption(ring)),
            clock=_now,
        )
        yield (
            Activities(
                payments=PaymentActivities(payments),
                refunds=RefundActivities(RefundStore(database)),
                providers=ProviderActivities(registry, payments, AlarmStore(database)),
                webhooks=WebhookActivities(EventStore(database), sender),
                entitlements=EntitlementActivities(EntitlementStore(database)),
            ),
            registry,
        )


def workers(
    client: Client,
    activities: Activities,
    providers: Sequence[str],
    build: WorkerDeploymentConfig | None = None,
) -> list[Worker]:
    """One worker a queue: a slow provider or merchant fills its own slots only."""
    running = [_carrying(client, queue, activities, build) for queue in RUN_QUEUES]
    queues = {provider_queue(name): activities.provider_steps() for name in providers}
    running += [
        Worker(
            client,
            task_queue=queue,
            activities=steps,
            graceful_shutdown_timeout=GRACEFUL_STOP,
            deployment_config=build,
        )
        for queue, steps in queues.items()
    ]
    running.append(
        Worker(
            client,
            task_queue=WEBHOOK_QUEUE,
            activities=activities.webhook_steps(),
            max_concurrent_activities=WEBHOOK_SLOTS,
            graceful_shutdown_timeout=GRACEFUL_STOP,
            deployment_config=build,
        )
    )
    return running


def eager_worker(
    activities: Activities,
    build: WorkerDeploymentConfig | None,
    client: Client,
    hears: Interceptor,
) -> Worker:
    """Carries the runs that this process starts: their tasks and the steps inside of these.

    Every step that has a queue is left to `workers`.
    """
    return _carrying(client, EAGER_QUEUE, activities, build, hears, local_only=True)


def _carrying(
    client: Client,
    queue: str,
    activities: Activities,
    build: WorkerDeploymentConfig | None,
    *interceptors: Interceptor,
    local_only: bool = False,
) -> Worker:
    return Worker(
        client,
        task_queue=queue,
        workflows=WORKFLOWS,
        activities=activities.workflow_steps(),
        workflow_runner=GuardedRunner(runner(), meter(client)),
        no_remote_activities=local_only,
        interceptors=interceptors,
        deployment_config=build,
        **tuning(),
    )


def _now() -> datetime:
    return datetime.now(UTC)
