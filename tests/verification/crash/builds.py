"""Two builds on one Temporal server, by the product's own workers."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from activities.entitlements import EntitlementActivities
from activities.payments import PaymentActivities
from activities.refunds import RefundActivities
from activities.registered import Activities
from activities.sweep import SweepActivities
from activities.webhooks import WebhookActivities
from engine.builds import StartsOnBuild, pinned
from engine.sweep import sweep_worker
from engine.workers import workers
from providers.registry import Registry
from storage.database import Database
from tests.workflows.scripted import ScriptedProvider
from tests.workflows.shop import Shop


class Release:
    """A build: its workers, and a shop whose payments an API process of this build starts."""

    def __init__(
        self,
        build_id: str | None,
        env: WorkflowEnvironment,
        database: Database,
        provider: ScriptedProvider,
    ) -> None:
        self.build_id = build_id
        self.shop = Shop(env, database, provider)
        self.shop.client = client_of(env.client, build_id)
        self._database = database

    @property
    def activities(self) -> Activities:
        shop = self.shop
        return Activities(
            payments=PaymentActivities(shop.payments),
            refunds=RefundActivities(shop.refunds),
            providers=shop.providers,
            webhooks=WebhookActivities(
                shop.events,
                shop.merchants,  # type: ignore[arg-type] # stands in for the sender
            ),
            entitlements=EntitlementActivities(shop.entitlements),
        )

    @asynccontextmanager
    async def running(
        self, sweeping: type[SweepActivities] = SweepActivities
    ) -> AsyncIterator[None]:
        """Its worker process."""
        client, provider = client_of(self.shop.client, self.build_id), self.shop.provider
        activities = sweeping(client, Registry([provider]), self._database)
        every = workers(client, self.activities, [provider.name], pinned(self.build_id))
        every.append(sweep_worker(client, activities, pinned(self.build_id)))
        async with AsyncExitStack() as started:
            for worker in every:
                await started.enter_async_context(worker)
            yield


def client_of(client: Client, build_id: str | None) -> Client:
    """The same connection, for a process of this build."""
    config = client.config()
    config["interceptors"] = [] if build_id is None else [StartsOnBuild(build_id)]
    return Client(**config)
