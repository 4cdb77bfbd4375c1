import json
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration
from pydantic import SecretStr
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConnectConfig
from temporalio.testing import WorkflowEnvironment

from activities.entitlements import EntitlementActivities
from activities.payments import PaymentActivities
from activities.provider_calls import ProviderActivities
from activities.refunds import RefundActivities
from activities.registered import Activities
from activities.webhooks import WebhookActivities
from api.dependencies import Dependencies, Stores
from api.http.metrics import Metrics
from api.in_app.catalogue import Catalogue
from api.payments.eager_start import EagerStart
from crypto.encryption import Encryption
from crypto.key_ring import KeyRing
from engine.client import connect
from engine.encryption import PayloadEncryption
from engine.namespace import prepare_namespace
from engine.workers import eager_worker, workers
from providers import registry
from sandbox.app import create_app as create_sandbox
from settings import Mode, Settings
from storage.database import Database
from tests.api.buyer import Buyer
from tests.api.house import ORIGIN, Door, House, ProviderSide, Shop, running, visitor
from tests.domain.making import IDENTITY
from tests.providers.alipay.harness import AlipayHarness
from tests.providers.apple_iap.harness import AppleIapHarness
from tests.providers.harness import account_of
from tests.providers.unionpay.harness import UnionpayHarness
from tests.providers.wechatpay.harness import WechatpayHarness
from webhooks.sender import WebhookSender
from webhooks.stored_secrets import StoredSecrets
from workflows import search_attributes

TEMPORAL = Path(sys.executable).with_name("temporal")
UI_ORIGIN = "http://127.0.0.1:8233"
SANDBOX_ORIGIN = "http://sandbox.test"
KEYS = KeyRing(newest="k1", keys={"k1": bytes(range(32))})


@pytest_asyncio.fixture(scope="session")
async def server() -> AsyncIterator[WorkflowEnvironment]:
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(TEMPORAL), dev_server_log_level="error"
    ) as environment:
        yield environment


async def _client(server: WorkflowEnvironment) -> Client:
    """A client of a namespace that nobody else uses."""
    namespace = f"api-{uuid4().hex}"
    await server.client.workflow_service.register_namespace(
        RegisterNamespaceRequest(
            namespace=namespace, workflow_execution_retention_period=Duration(seconds=86400)
        )
    )
    host = server.client.service_client.config.target_host
    target = ClientConnectConfig(target_host=host, namespace=namespace)
    client = await connect(KEYS, target=target)
    await prepare_namespace(client, search_attributes.ALL)
    return client


async def _another(client: Client) -> Client:
    """The workers' own connection: they are another process."""
    host = client.service_client.config.target_host
    target = ClientConnectConfig(target_host=host, namespace=client.namespace)
    return await connect(KEYS, target=target)


@pytest_asyncio.fixture(scope="session")
async def house(
    database: Database,
    database_url: str,
    server: WorkflowEnvironment,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[House]:
    """The API, a real worker, and the sandbox's gateways, whose notifications reach the API."""
    folder, door = tmp_path_factory.mktemp("sandbox"), Door()
    sandbox = create_sandbox(folder, SANDBOX_ORIGIN, transport=door)
    manifest = json.loads((folder / "sandbox.json").read_text())
    async with (
        sandbox.router.lifespan_context(sandbox),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(sandbox), base_url=SANDBOX_ORIGIN
        ) as provider_http,
    ):
        accounts = {
            harness.name: [account_of(manifest, harness.name, mode) for mode in harness.modes]
            for harness in (
                WechatpayHarness(),
                AlipayHarness(),
                UnionpayHarness(),
                AppleIapHarness(),
            )
        }
        for path, url in AppleIapHarness().notify_urls(ORIGIN).items():
            await provider_http.post(path, json={"notification_url": url})
        built = registry.build(
            accounts, http=provider_http, clock=lambda: datetime.now(UTC), public_url=ORIGIN
        )
        dependencies = Dependencies(
            settings=Settings(
                mode=Mode.SANDBOX,
                database_url=SecretStr(database_url),
                public_url=ORIGIN,
                accounts_file=folder / "accounts.toml",
                payload_keys_file=folder / "keys.toml",
                ui_origin=UI_ORIGIN,
                # Who is not about limits must meet none.
                create_rate=10_000,
                create_concurrency=10_000,
                command_rate=10_000,
                command_concurrency=10_000,
                read_rate=10_000,
                read_concurrency=10_000,
                peer_rate=10_000,
                peer_concurrency=10_000,
            ),
            database=database,
            stores=Stores.on(database),
            temporal=await _client(server),
            registry=built,
            codec=PayloadEncryption(KEYS),
            metrics=Metrics(),
            identity=IDENTITY,
            catalogue=Catalogue.parse(manifest["apple_iap"]["apps"]["main"]["products"]),
        )
        door.app = await running(dependencies)
        activities = _activities(dependencies, provider_http)
        making = partial(eager_worker, activities, None, dependencies.temporal)
        async with (
            _workers(await _another(dependencies.temporal), activities),
            dependencies.eager.running(dependencies.temporal, making),
        ):
            yield House(door.app, dependencies, ProviderSide(provider_http), door)


def _activities(dependencies: Dependencies, http: httpx.AsyncClient) -> Activities:
    stores = dependencies.stores
    sender = WebhookSender(
        http,
        allow_private=True,
        stored_secrets=StoredSecrets(Encryption(KEYS)),
        clock=lambda: datetime.now(UTC),
    )
    return Activities(
        payments=PaymentActivities(stores.payments),
        refunds=RefundActivities(stores.refunds),
        providers=ProviderActivities(dependencies.registry, stores.payments, stores.alarms),
        webhooks=WebhookActivities(stores.events, sender),
        entitlements=EntitlementActivities(stores.entitlements),
    )


@asynccontextmanager
async def _workers(client: Client, activities: Activities) -> AsyncIterator[None]:
    async with AsyncExitStack() as running:
        for worker in workers(client, activities, sorted(registry.PROVIDERS)):
            await running.enter_async_context(worker)
        yield


@pytest_asyncio.fixture
async def shop(house: House) -> Shop:
    """A merchant of this test alone, with an API key."""
    return await house.shop()


@pytest_asyncio.fixture
async def other_shop(house: House) -> Shop:
    """Another merchant."""
    return await house.shop()


@pytest_asyncio.fixture
async def stranger(house: House) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody without an API key: a payer's browser, a provider, a burglar."""
    async with visitor(house.app) as client:
        yield client


@pytest_asyncio.fixture
async def provider(house: House) -> AsyncIterator[ProviderSide]:
    """The provider's server, behaving well at the start of each test."""
    yield house.provider
    await house.provider.control.delete("/_sandbox/faults")


@pytest.fixture
def buyer(shop: Shop, provider: ProviderSide) -> Buyer:
    """A buyer at the store, with the shop's app."""
    return Buyer.of(shop, provider)


@pytest_asyncio.fixture(scope="session")
async def house_without_worker(house: House, server: WorkflowEnvironment) -> House:
    """The same books and providers, but nobody takes up the work."""
    dependencies = replace(
        house.dependencies, temporal=await _client(server), metrics=Metrics(), eager=EagerStart()
    )
    return House(await running(dependencies), dependencies, house.provider, house.door)


@pytest_asyncio.fixture(scope="session")
async def house_without_temporal(house: House) -> House:
    """The same books and providers, but nothing answers where Temporal should be."""
    target = ClientConnectConfig(target_host="127.0.0.1:1", namespace="none")
    temporal = await connect(KEYS, target=target, lazy=True)
    dependencies = replace(
        house.dependencies, temporal=temporal, metrics=Metrics(), eager=EagerStart()
    )
    return House(await running(dependencies), dependencies, house.provider, house.door)
