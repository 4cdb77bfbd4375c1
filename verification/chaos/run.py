"""One storm from the first payment to the audit."""

import asyncio
import time
import traceback
from collections import Counter
from collections.abc import Iterable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import httpx
from sqlalchemy import text
from temporalio.service import RPCError

from cli.embedded.config import Service
from cli.embedded.stack import ENV_FILE, Stack
from domain.identity import payment_workflow_id
from domain.merchant import LatePolicy, Merchant
from reconciliation.audit.auditor import Audit, Scope, audit, read_books
from reconciliation.audit.compare import in_order
from reconciliation.audit.finding import Finding, Promise
from reconciliation.audit.known_secrets import key_material
from settings import Settings
from storage.database import Database, DatabaseUnavailable
from storage.keys import ApiKeyStore
from storage.merchants import MerchantStore
from verification.chaos.board import Board
from verification.chaos.chaos import kill_by_plan, moods_by_plan
from verification.chaos.clients import Backend, Sandbox, StormError
from verification.chaos.drawing import OPEN_IDS
from verification.chaos.journey import Journey, World
from verification.chaos.plan import Plan, Trip
from verification.chaos.report import Report, Witness, of_audit, report
from verification.chaos.strangers import floods_by_plan, sweeps_by_plan
from verification.chaos.tally import Tally
from webhooks.signing import new_secret

TIME_SCALE = 40.0
HTTP_SECONDS = 30.0
QUIET_WITHIN_SECONDS = 300.0
PAID_WITHIN_SECONDS = 180.0
LOOK_AGAIN_SECONDS = 3.0
# More at once would only queue inside one machine's API.
CREATES_AT_ONCE = 400


@dataclass
class Storm:
    """A plan on a running stack; `tally`, `board` and `phase` are for whoever watches."""

    plan: Plan
    stack: Stack
    database: Database
    tally: Tally = field(default_factory=Tally)
    phase: str = "payments"
    merchants: list[str] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    statements: tuple[str, ...] = ()
    patience: float = QUIET_WITHIN_SECONDS

    def __post_init__(self) -> None:
        self.board = Board(self.database)
        self._durations: dict[str, float] = {}

    async def run(self) -> tuple[Report, Audit]:
        """Blow, wait until all is quiet, audit."""
        async with AsyncExitStack() as held:
            api = await held.enter_async_context(_client(self.stack.api_url))
            control = await held.enter_async_context(_client(self.stack.sandbox_url))
            sandbox = Sandbox(control, self.tally)
            keys = await self._register()
            await self._sabotage()
            backends = [Backend(api, key, self.tally) for key in keys]
            for task in (
                asyncio.create_task(self.board.watch()),
                asyncio.create_task(sweeps_by_plan(self.plan, self.stack, self.tally)),
            ):
                held.callback(task.cancel)
            await self._blow(backends, sandbox)
            quiet = await self._until_quiet(sandbox)
            made = await self._audit()
            written = report(
                self.plan, self.board, self.tally, await self._witness(sandbox), self._durations
            )
            written.quiet, written.audit = quiet, of_audit(made)
            return written, made

    async def _blow(self, backends: list[Backend], sandbox: Sandbox) -> None:
        begun = time.monotonic()
        for fault in self.plan.certificates:
            await sandbox.plant("wechatpay", None, fault)
        chaos = asyncio.gather(
            kill_by_plan(self.plan, self.stack, self.tally, begun),
            moods_by_plan(self.plan, self.merchants, sandbox, begun),
            floods_by_plan(self.plan, self.stack.api_url, await self._flooder(), self.tally, begun),
        )
        await asyncio.gather(
            *(self._travel(trip, backends, sandbox, begun) for trip in self.plan.trips)
        )
        chaos.cancel()
        with suppress(asyncio.CancelledError):
            await chaos
        for service in Service:
            await self.stack.wait_ready(service)
        self._durations["storm"] = round(time.monotonic() - begun, 1)

    async def _travel(
        self, trip: Trip, backends: list[Backend], sandbox: Sandbox, begun: float
    ) -> None:
        await asyncio.sleep(max(begun + trip.at - time.monotonic(), 0))
        patience = min(self.patience, PAID_WITHIN_SECONDS)
        world = World(
            sandbox, self.board, self.tally, self._terminate, self.stack.identity, patience
        )
        journey = Journey(trip, self.merchants[trip.merchant], backends[trip.merchant], world)
        try:
            await journey.go()
        except StormError as error:
            self.tally.surprises.append(f"order {trip.order_no}: {error}")
        except asyncio.CancelledError as error:
            if _asked_to_stop():
                raise
            # A library gave up on its own account: one order's trouble, not the storm's end.
            where = traceback.extract_tb(error.__traceback__)[-1]
            self.tally.surprises.append(f"order {trip.order_no}: cut off in {where}")

    async def _terminate(self, payment_id: UUID) -> None:
        client = await self.stack.temporal_client()
        await client.get_workflow_handle(payment_workflow_id(payment_id)).terminate("the storm")

    async def _until_quiet(self, sandbox: Sandbox) -> bool:
        self.phase = "waiting until all is quiet"
        begun = time.monotonic()
        try:
            async with asyncio.timeout(self.patience):
                while not await self._is_quiet(sandbox):  # noqa: ASYNC110 - other processes
                    await asyncio.sleep(LOOK_AGAIN_SECONDS)
        except TimeoutError:
            return False
        finally:
            self._durations["until quiet"] = round(time.monotonic() - begun, 1)
        return True

    async def _is_quiet(self, sandbox: Sandbox) -> bool:
        """Nothing is under way: not here, not at Temporal, not on the wire."""
        if not self.board.calm:
            return False
        try:
            books = await read_books(await self._scope())
        except (DatabaseUnavailable, RPCError, RuntimeError, httpx.HTTPError):
            return False
        if any(case.under_way and not case.flagged for case in books.cases):
            return False
        flagged = {case.name for case in books.cases if case.flagged}
        on_the_wire = {
            delivery["notice"]["reference"]
            for delivery in (await sandbox.get("notifications"))["deliveries"]
            if delivery["state"] == "pending"
        }
        # What parks a payment is refused as often as it comes.
        return on_the_wire <= flagged and self.board.calm

    async def _audit(self) -> Audit:
        self.phase = "audit"
        begun = time.monotonic()
        made = await audit(await self._scope())
        self._durations["audit"] = round(time.monotonic() - begun, 1)
        seen = [_overdrawn(id_.hex) for id_ in sorted(self.board.overdrawn)]
        return Audit(in_order([*made.findings, *seen]), made.counts)

    async def _scope(self) -> Scope:
        return Scope(
            database=self.database,
            temporal=await self.stack.temporal_client(),
            sandbox_url=self.stack.sandbox_url,
            secrets=self.secrets,
            state_dir=self.stack.config.state_dir,
        )

    async def _register(self) -> list[str]:
        """The merchants, told at the sandbox; their API keys."""
        settings = Settings(_env_file=self.stack.config.state_dir / ENV_FILE)
        self.secrets |= key_material(settings.read_accounts()) | _of_payers(self.plan.trips)
        keys, run = [], uuid4().hex[:6]
        for number in range(self.plan.merchants):
            name, secret = f"storm-{run}-{number}", new_secret()
            accepts = number in self.plan.accepting
            await MerchantStore(self.database).create(
                Merchant(
                    id=name,
                    name=name,
                    webhook_url=f"{self.stack.sandbox_url}/merchant/{name}/webhooks",
                    webhook_secret=self.stack.stored_secrets.encrypt(name, secret),
                    late_policy=LatePolicy.ACCEPT if accepts else LatePolicy.REFUND,
                )
            )
            key = await ApiKeyStore(self.database).create(name, "storm")
            self.merchants.append(name)
            self.secrets |= {f"API key of {name}": key, f"webhook secret of {name}": secret}
            keys.append(key)
        return keys

    async def _flooder(self) -> str:
        """The API key of a merchant that does nothing but flood."""
        name = f"flood-{uuid4().hex[:6]}"
        await MerchantStore(self.database).create(Merchant(id=name, name=name))
        return await ApiKeyStore(self.database).create(name, "storm")

    async def _sabotage(self) -> None:
        owner = Database(self.stack.database_owner_url)
        async with owner.transaction() as connection:
            for statement in self.statements:
                await connection.execute(text(statement))
        await owner.close()

    async def _witness(self, sandbox: Sandbox) -> Witness:
        webhooks: Counter[str] = Counter()
        for name in self.merchants:
            for row in await sandbox.get(f"merchant/{name}"):
                webhooks[f"answered {row['status']}"] += 1
        return Witness(
            leftover=await sandbox.get("faults"),
            attempts=(await sandbox.get("notifications"))["attempts"],
            webhooks=webhooks,
        )


def _asked_to_stop() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _client(url: str) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=CREATES_AT_ONCE)
    return httpx.AsyncClient(base_url=url, timeout=HTTP_SECONDS, limits=limits, trust_env=False)


def _of_payers(trips: Iterable[Trip]) -> dict[str, str]:
    """What payers told us, which nobody else may read."""
    codes = {
        f"payment code {number}": trip.payer["auth_code"]
        for number, trip in enumerate(trips)
        if "auth_code" in trip.payer
    }
    openids = {
        f"open id {provider} {number}": open_id
        for provider, found in OPEN_IDS.items()
        for number, open_id in enumerate(found)
    }
    return codes | openids


def _overdrawn(payment: str) -> Finding:
    return Finding(
        Promise.OVER_REFUND,
        payment,
        "for a moment more was reserved and refunded than was captured",
        "The database's own constraint must refuse this.",
    )
