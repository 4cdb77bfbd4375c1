"""The stack that the matrix plays on: servers, and a worker and an API that stop at every step."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from temporalio.client import Client

from cli.embedded import application, environment
from cli.embedded.child import Child
from cli.embedded.config import EVERYTHING, ONE_MERCHANT, Service, StackConfig
from cli.embedded.ports import assign_ports
from cli.embedded.program import Program
from cli.embedded.stack import Stack
from cli.embedded.temporal import NAMESPACE
from providers.registry import PROVIDERS
from storage.database import Database
from tests.stack.shop import Place, Shop, open_shop
from verification.crash.conductor import Conductor
from verification.crash.gate import PROCESS_VARIABLE, SOCKET_VARIABLE
from workflows.policies import worker_queues

SERVERS = EVERYTHING - {Service.API, Service.WORKER}
# Providers repeat a notification first after 0.4 s (WeChat Pay), 1.5 s (UnionPay) and
# 6 s (Alipay).
TIME_SCALE = 40
RESTART_SECONDS = 60.0
_VETO = {"decision": "refund", "reason": "sold out"}


@dataclass(frozen=True)
class Stage:
    """Everything that a scenario needs.

    `vetoing` is a shop that cannot fulfil any order; `named` has what audits found so far.
    """

    stack: Stack
    conductor: Conductor
    database: Database
    temporal: Client
    shop: Shop
    vetoing: Shop
    mortal: dict[Service, Child]
    named: set[str] = field(default_factory=set)

    def strike(self, victim: Service) -> int:
        """SIGKILL; returns the id of the process that was."""
        pid = self._pid(victim)
        if pid is None:
            raise LookupError(f"{victim} is not running")
        os.kill(pid, signal.SIGKILL)
        return pid

    async def replaced(self, victim: Service, old: int) -> None:
        """Return once another process runs in its place and is ready."""
        async with asyncio.timeout(RESTART_SECONDS):
            while self._pid(victim) in (None, old):  # noqa: ASYNC110 - no event tells of it
                await asyncio.sleep(0.02)
            if victim in self.mortal:
                await self.mortal[victim].wait_ready()
            else:
                await self.stack.wait_ready(victim)

    def _pid(self, service: Service) -> int | None:
        with suppress(LookupError):
            child = self.mortal.get(service)
            return child.pid if child else self.stack.process(service)
        return None


@asynccontextmanager
async def open_stage(folder: Path) -> AsyncIterator[Stage]:
    """Everything running; `folder` keeps the state and the logs."""
    async with AsyncExitStack() as held:
        config = StackConfig(folder / "state", services=SERVERS, sandbox_time_scale=TIME_SCALE)
        stack = await held.enter_async_context(Stack(config))
        conductor = await held.enter_async_context(Conductor(folder).listening())
        await stack.migrate()
        [api_port] = assign_ports(["api"], {}, folder / "ports.json").values()
        mortal = {}
        for program in _programs(stack, conductor, api_port):
            child = mortal[Service(program.name)] = Child(program)
            held.push_async_callback(child.stop)
        await asyncio.gather(*(child.start() for child in mortal.values()))
        stores = environment.notification_settings(stack.manifest, f"http://127.0.0.1:{api_port}")
        await application.tell_notification_urls(stores)
        database = Database(stack.database_url)
        held.push_async_callback(database.close)
        place = Place(
            f"http://127.0.0.1:{api_port}",
            stack.sandbox_url,
            stack.database_url,
            stack.identity,
            stack.stored_secrets,
        )
        shop = await held.enter_async_context(open_shop(place))
        vetoing = await held.enter_async_context(open_shop(place))
        await vetoing.answer_webhooks(200, _VETO)
        temporal = await stack.temporal_client()
        yield Stage(stack, conductor, database, temporal, shop, vetoing, mortal)


def _programs(stack: Stack, conductor: Conductor, api_port: int) -> list[Program]:
    state = stack.config.state_dir
    api_url = f"http://127.0.0.1:{api_port}"
    wiring = environment.Wiring(
        database_url=stack.database_url,
        api_url=api_url,
        keys_file=environment.keep_payload_keys(state / "payload-keys.toml"),
        identity_key_file=environment.keep_identity_key(state / "identity-key"),
        accounts_file=environment.write_accounts(state / "accounts.toml", stack.manifest),
        products_file=environment.write_products(state / "products.toml", stack.manifest),
        temporal=(stack.temporal_address, NAMESPACE),
        ui_origin=None,
    )
    told = environment.compose(environment.inherited(), wiring)
    told |= {SOCKET_VARIABLE: str(conductor.socket)} | ONE_MERCHANT
    worker = application.worker_program(
        stack.temporal_client,
        worker_queues(PROVIDERS),
        stack.log("worker"),
        _named(told, Service.WORKER),
    )
    api = application.api_program(api_port, stack.log("api"), _named(told, Service.API))
    served = [
        "verification.crash.api_that_dies:create_app" if a.startswith("api.app:") else a
        for a in api.command
    ]
    return [
        replace(worker, command=[sys.executable, "-m", "verification.crash.worker_that_dies"]),
        replace(api, command=served),
    ]


def _named(told: dict[str, str], process: Service) -> dict[str, str]:
    return told | {PROCESS_VARIABLE: process}
