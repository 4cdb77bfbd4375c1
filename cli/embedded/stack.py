"""The one-command stack: every server that a payment needs, as children of this process."""

import asyncio
import functools
import json
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import make_url
from temporalio.client import Client

from cli.embedded import application, environment
from cli.embedded.child import Child
from cli.embedded.config import UI_PORT, Service, StackConfig
from cli.embedded.ports import HOST, assign_ports
from cli.embedded.postgres import Postgres
from cli.embedded.program import Program
from cli.embedded.state_folder import hold
from cli.embedded.temporal import NAMESPACE, Temporal
from crypto.encryption import Encryption
from crypto.key_ring import KeyRing
from domain.identity import IdentityKey
from engine.client import connect
from providers.registry import PROVIDERS
from storage.migrate import upgrade
from webhooks.stored_secrets import StoredSecrets
from workflows import policies, search_attributes

# In the state folder: the variables that settings read, for commands beside the stack.
ENV_FILE = "env"
# Last started, first stopped; those of one row end together.
STOP_ORDER = (
    (Service.WORKER, Service.API),
    (Service.SANDBOX, Service.TEMPORAL),
    (Service.POSTGRES,),
)


class Stack:
    """The running stack, as an async context manager; it is ready once entered."""

    def __init__(self, config: StackConfig) -> None:
        self.config = config
        self._state = config.state_dir.resolve()
        self._children: dict[Service, Child] = {}
        self._held = AsyncExitStack()
        self._ports: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        self._held.enter_context(hold(self._state))
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stop()

    def process(self, name: str) -> int:
        """The process id of a service; LookupError while it isn't running."""
        return self._child(name).pid

    async def restart(self, name: str) -> None:
        """Stop a service cleanly and start it; returns when it is ready."""
        child = self._child(name)
        await child.stop()
        await child.start()

    async def wait_ready(self, name: str) -> None:
        """Return when a service is ready, after a crash: again."""
        await self._child(name).wait_ready()

    async def watch(self) -> None:
        """Return never; raise when a program can't be kept running any more."""
        await _together(child.watch() for child in self._children.values())

    async def stop(self, name: str) -> None:
        """Stop a service until `restart`."""
        await self._child(name).stop()

    async def migrate(self) -> None:
        """Bring the database to the newest schema, and its runtime role to its privileges."""
        runtime, owner = self.database_url, self.database_owner_url
        await upgrade(owner, runtime_role=None if runtime == owner else make_url(runtime).username)

    def log(self, name: str) -> Path:
        """A service's log file."""
        return self._state / "logs" / f"{name}.log"

    @functools.cached_property
    def keys(self) -> KeyRing:
        """The payload keys, made at the first start."""
        return KeyRing.from_file(environment.keep_payload_keys(self._state / "payload-keys.toml"))

    @property
    def stored_secrets(self) -> StoredSecrets:
        """What webhook secrets are encrypted with before they are stored."""
        return StoredSecrets(Encryption(self.keys))

    @functools.cached_property
    def identity(self) -> IdentityKey:
        """The secret that ids are derived with, created at the first start."""
        path = environment.keep_identity_key(self._state / "identity-key")
        return IdentityKey.parse(path.read_text())

    @property
    def database_url(self) -> str:
        """SQLAlchemy's URL of the database, for API, workers and commands."""
        return self.config.database_url or self._postgres.url

    @property
    def database_owner_url(self) -> str:
        """The same for the role that owns and migrates the tables."""
        if self.config.database_url is None:
            return self._postgres.owner_url
        return self.config.database_owner_url or self.config.database_url

    @property
    def api_url(self) -> str:
        """Our API, without a trailing slash."""
        return f"http://{HOST}:{self._ports[Service.API]}"

    @property
    def sandbox_url(self) -> str:
        """The sandbox, without a trailing slash."""
        return f"http://{HOST}:{self._ports[Service.SANDBOX]}"

    @property
    def temporal_address(self) -> str:
        """The embedded Temporal server's gRPC address."""
        return self._temporal.address

    @property
    def ui_url(self) -> str:
        """The embedded Temporal server's UI, without a trailing slash."""
        return self._temporal.ui_url

    @property
    def manifest(self) -> dict[str, Any]:
        """The sandbox's keys and addresses, as it wrote them."""
        manifest: dict[str, Any] = json.loads(self.manifest_path.read_text())
        return manifest

    @property
    def manifest_path(self) -> Path:
        """The file that the manifest is in."""
        return self._state / "sandbox" / "sandbox.json"

    @property
    def links(self) -> dict[str, str]:
        """Links for a user, by title."""
        links: dict[str, str] = {}
        if self.config.starts(Service.API):
            links["API documentation"] = f"{self.api_url}/docs"
        if self.config.starts(Service.TEMPORAL):
            links["Temporal UI"] = f"{self.ui_url}/namespaces/{NAMESPACE}/workflows"
        if self.config.starts(Service.SANDBOX):
            links["Sandbox cashier"] = f"{self.sandbox_url}/cashier/"
        return links

    async def temporal_client(self) -> Client:
        """A client with the stack's payload keys, of the embedded server or the user's cluster."""
        if self.config.external_temporal:
            return await connect(self.keys)
        return await self._temporal.client()

    @functools.cached_property
    def _postgres(self) -> Postgres:
        port = self._ports[Service.POSTGRES]
        return Postgres(self._state / "postgres", port, self.log(Service.POSTGRES))

    @functools.cached_property
    def _temporal(self) -> Temporal:
        return Temporal(
            self._state / "temporal",
            (self._ports[Service.TEMPORAL], self._ports[UI_PORT]),
            self.log(Service.TEMPORAL),
            self.keys,
            search_attributes.ALL,
        )

    async def _start(self) -> None:
        names = [*Service, UI_PORT]
        self._ports = assign_ports(names, self.config.ports, self._state / "ports.json")
        servers: dict[Service, Callable[[], Awaitable[None]]] = {
            Service.POSTGRES: self._start_postgres,
            Service.TEMPORAL: self._start_temporal,
            Service.SANDBOX: self._start_sandbox,
        }
        await _together(start() for name, start in servers.items() if self.config.starts(name))
        if {Service.API, Service.WORKER} & self.config.services:
            await self.migrate()
            await self._start_application()

    async def _start_postgres(self) -> None:
        await self._postgres.create()
        await self._start_child(Service.POSTGRES, self._postgres.program())

    async def _start_temporal(self) -> None:
        if self.config.set_temporal_aside:
            self._temporal.set_aside()
        self._temporal.check_version()
        program = self._temporal.program(f"{self.api_url}/ops/codec")
        await self._start_child(Service.TEMPORAL, program)

    async def _start_sandbox(self) -> None:
        program = application.sandbox_program(
            self._state / "sandbox",
            self._ports[Service.SANDBOX],
            self.log(Service.SANDBOX),
            environment.inherited(),
            self.config.sandbox_time_scale,
        )
        await self._start_child(Service.SANDBOX, program)

    async def _start_application(self) -> None:
        wiring = self._wiring()
        if self.config.starts(Service.SANDBOX):
            told_at = environment.notification_settings(self.manifest, self.api_url)
            await application.tell_notification_urls(told_at)
        environment.write_variables(self._state / ENV_FILE, wiring)
        variables = environment.compose(environment.inherited(), wiring) | dict(
            self.config.variables
        )
        port = self._ports[Service.API]
        api = application.api_program(port, self.log(Service.API), variables)
        worker = application.worker_program(
            self.temporal_client,
            policies.worker_queues(PROVIDERS),
            self.log(Service.WORKER),
            variables,
        )
        programs = {Service.API: api, Service.WORKER: worker}
        await _together(
            self._start_child(name, program)
            for name, program in programs.items()
            if self.config.starts(name)
        )

    def _wiring(self) -> environment.Wiring:
        embedded = self.config.starts(Service.TEMPORAL)
        accounts, products = self._state / "accounts.toml", self._state / "products.toml"
        plays = self.config.starts(Service.SANDBOX)
        if plays:
            environment.write_accounts(accounts, self.manifest)
            environment.write_products(products, self.manifest)
        return environment.Wiring(
            database_url=self.database_url,
            api_url=self.api_url,
            keys_file=environment.keep_payload_keys(self._state / "payload-keys.toml"),
            identity_key_file=environment.keep_identity_key(self._state / "identity-key"),
            accounts_file=accounts if plays else None,
            products_file=products if plays else None,
            temporal=(self.temporal_address, NAMESPACE) if embedded else None,
            ui_origin=self.ui_url if embedded else None,
        )

    async def _start_child(self, name: Service, program: Program) -> None:
        self._children[name] = Child(program)
        await self._children[name].start()

    def _child(self, name: str) -> Child:
        return self._children[Service(name)]

    async def _stop(self) -> None:
        for row in STOP_ORDER:
            running = [self._children[name] for name in row if name in self._children]
            await asyncio.gather(*(child.stop() for child in running))
        await self._held.aclose()


async def _together(starts: Iterable[Awaitable[None]]) -> None:
    """Await all; the first failure ends the others and is raised as itself."""
    tasks = [asyncio.ensure_future(start) for start in starts]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
