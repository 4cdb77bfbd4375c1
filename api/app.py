"""The HTTP application, put together."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from api import events
from api.dependencies import Dependencies, Stores
from api.http import errors, health, limits, metrics, openapi
from api.http.connection_limit import raise_descriptors
from api.http.peers import PeerRule
from api.http.request_context import RequestContext
from api.in_app import endpoints as purchases
from api.in_app.catalogue import Catalogue
from api.notifications import endpoint as notifications
from api.notifications import fetch_missed as catching_up
from api.operators import codec
from api.operators import metrics_endpoint as metrics_route
from api.payments import endpoints as payments
from api.payments import returns
from api.payments.eager_start import EagerStart
from api.refunds import endpoints as refunds
from crypto.encryption import Encryption
from crypto.key_ring import KeyRing
from engine import logs, memory
from engine.client import connect
from engine.encryption import PayloadEncryption
from engine.production import checked_settings
from engine.webhook_secrets import renew_at_start
from providers import registry
from providers.kit.bounded_client import BoundedClient
from settings import Settings
from storage.database import Database, DatabaseUnavailable
from storage.ownership import refuse_ownership
from webhooks.stored_secrets import StoredSecrets

VERSION = "1.0.0"
# A notification may need a provider's newer key before it can be verified.
PROVIDER_HTTP_SECONDS = 4.0

_ROUTED = (
    payments,
    purchases,
    refunds,
    events,
    notifications,
    returns,
    health,
    metrics_route,
    codec,
    catching_up,
)


def create_app(dependencies: Dependencies | None = None) -> FastAPI:
    """The application; with no dependencies given it reads the settings and opens its own."""
    settings = dependencies.settings if dependencies else checked_settings()
    counted = dependencies.metrics if dependencies else metrics.Metrics()
    if dependencies is None:
        logs.install()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            app.state.dependencies = dependencies or await _open(settings, counted, stack)
            if dependencies is None:
                raise_descriptors()
                memory.settle()
            yield

    # The documentation page brings its own scripts: a closed network shows it too.
    app = FastAPIOffline(
        title=openapi.TITLE,
        summary=openapi.SUMMARY,
        description=openapi.DESCRIPTION,
        version=VERSION,
        openapi_tags=openapi.TAGS,
        lifespan=lifespan,
        redoc_url=None,
    )
    for module in _ROUTED:
        app.include_router(module.router)
    errors.install(app)
    openapi.install(app)
    health.install(app)
    # The last one added is the outermost: everything is timed, refusals of the limits included.
    app.add_middleware(limits.Limited, settings=settings, metrics=counted)
    app.add_middleware(codec.CodecCors, origin=settings.ui_origin)
    app.add_middleware(metrics.Measured, metrics=counted)
    peers = PeerRule(settings.peer_header, settings.trusted_proxies)
    app.add_middleware(RequestContext, peers=peers)
    return app


async def _open(
    settings: Settings, counted: metrics.Metrics, stack: AsyncExitStack
) -> Dependencies:
    keys = KeyRing.from_file(settings.payload_keys_file)
    identity = settings.read_identity_key()
    database = Database(settings.read_database_url())
    stack.push_async_callback(database.close)
    stores = Stores.on(database)
    # A database that is away must not keep the API from starting: the first POST connects.
    with suppress(DatabaseUnavailable):
        if not settings.is_sandbox:
            await refuse_ownership(database)
        await stores.deployment.verify(identity)
    http = await stack.enter_async_context(BoundedClient(timeout=PROVIDER_HTTP_SECONDS))
    built = registry.build(
        settings.read_accounts(),
        http=http,
        clock=lambda: datetime.now(UTC),
        public_url=settings.public_url,
    )
    await renew_at_start(database, StoredSecrets(Encryption(keys)))
    eager = EagerStart()
    if settings.eager_start:
        await stack.enter_async_context(eager.serving(settings, database, keys))
    return Dependencies(
        settings=settings,
        database=database,
        stores=stores,
        identity=identity,
        # Lazy: a restarting Temporal must not keep the API from answering "try again".
        temporal=await connect(keys, lazy=True, build_id=settings.build_id),
        registry=built,
        codec=PayloadEncryption(keys),
        metrics=counted,
        catalogue=Catalogue.parse(settings.read_products()),
        eager=eager,
    )
