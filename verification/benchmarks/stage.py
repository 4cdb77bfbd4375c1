"""One stack for the whole run, with the floor's worker beside it, and one merchant."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from temporalio.client import Client

from cli.embedded.application import ROOT, FreshPollers
from cli.embedded.child import Child
from cli.embedded.config import ONE_MERCHANT, Service, StackConfig
from cli.embedded.environment import inherited
from cli.embedded.program import Program
from cli.embedded.stack import Stack
from cli.embedded.temporal import NAMESPACE
from settings import Settings
from storage.database import Database
from verification.benchmarks import floor
from verification.benchmarks.ends import Ends
from verification.benchmarks.merchant import ACCOUNTS, Merchant, register
from verification.benchmarks.sides import Floor, Side
from verification.benchmarks.system import System


@dataclass(frozen=True)
class Stage:
    """What the benches play on."""

    system: System
    client: Client
    database: Database
    ends: Ends
    floor: Floor
    merchants: dict[str, Merchant]
    floor_worker: int
    merchant_id: str
    key: str

    @property
    def sides(self) -> list[Side]:
        """The floor first."""
        return [self.floor, *self.merchants.values()]

    @property
    def processes(self) -> dict[str, int]:
        """Process ids by name."""
        extra = {"floor worker": self.floor_worker, "bench": os.getpid()}
        return dict(self.system.processes) | extra


@asynccontextmanager
async def open_stage(folder: Path, *, limited: bool = False) -> AsyncIterator[Stage]:
    """The one-command stack, started and ready; stopped in the end.

    Where it is `limited`, merchants have the limits of a new deployment, else next to none.
    """
    variables = {} if limited else ONE_MERCHANT
    async with AsyncExitStack() as held:
        config = StackConfig(folder, variables=variables)
        stack = await held.enter_async_context(Stack(config))
        ends = await held.enter_async_context(Ends())
        child = Child(_floor_program(stack, ends, folder))
        held.push_async_callback(child.stop)
        await child.start()
        system = System(
            api_url=stack.api_url,
            sandbox_url=stack.sandbox_url,
            database_url=stack.database_url,
            temporal_client=stack.temporal_client,
            stored_secrets=stack.stored_secrets,
            settings=Settings(_env_file=folder / "env"),
            processes={str(service): stack.process(service) for service in Service},
        )
        yield await held.enter_async_context(with_merchant(system, ends, child.pid))


@asynccontextmanager
async def with_merchant(system: System, ends: Ends, floor_worker: int) -> AsyncIterator[Stage]:
    """The stage on a running system and floor worker (its process id), with a new merchant."""
    async with AsyncExitStack() as held:
        client = await system.temporal_client()
        database = Database(system.database_url)
        held.push_async_callback(database.close)
        merchant_id, key = await register(system, ends)
        urls = (system.api_url, system.sandbox_url)
        merchants = {name: Merchant(name, key, urls, ends) for name in ACCOUNTS}
        for merchant in merchants.values():
            held.push_async_callback(merchant.close)
        yield Stage(
            system=system,
            client=client,
            database=database,
            ends=ends,
            floor=Floor(client, ends),
            merchants=merchants,
            floor_worker=floor_worker,
            merchant_id=merchant_id,
            key=key,
        )


def _floor_program(stack: Stack, ends: Ends, folder: Path) -> Program:
    queues = [floor.QUEUE, floor.WEBHOOK_QUEUE]
    pollers = FreshPollers(stack.temporal_client, queues)
    floor_variables = {
        "TEMPORAL_ADDRESS": stack.temporal_address,
        "TEMPORAL_NAMESPACE": NAMESPACE,
        "TEMPORAL_CONFIG_FILE": os.devnull,
        "PAYSAGA_PAYLOAD_KEYS_FILE": str(folder.resolve() / "payload-keys.toml"),
        "BENCH_END_PORT": str(ends.port),
    }
    return Program(
        name="floor worker",
        command=[sys.executable, "-m", "verification.benchmarks.floor_worker"],
        ready=pollers.seen,
        log=folder.resolve() / "logs" / "floor-worker.log",
        environment=inherited() | floor_variables,
        directory=ROOT,
        prepare=pollers.start_afresh,
    )
