"""One chaos test, from the first payment to the audit."""

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
from reconciliation.audit.auditor import Audit, Scope, audit, read_records
from reconciliation.audit.compare import in_order
from reconciliation.audit.finding import Finding, Promise
from reconciliation.audit.known_secrets import key_material
from settings import Settings
from storage.database import Database, DatabaseUnavailable
from storage.keys import ApiKeyStore
from storage.merchants import MerchantStore
from verification.chaos.cases import CASES
from verification.chaos.clients import Backend, ChaosError, Sandbox
from verification.chaos.counts import Counts
from verification.chaos.floods import floods_by_plan, sweeps_by_plan
from verification.chaos.kills import endpoint_faults_by_plan, kill_by_plan
from verification.chaos.order_run import OrderRun, Shared
from verification.chaos.plan import Plan, PlannedOrder
from verification.chaos.progress import Progress
from verification.chaos.report import Report, SandboxRecord, of_audit, report
from webhooks.signing import new_secret

TIME_SCALE = 40.0
HTTP_SECONDS = 30.0
QUIET_WITHIN_SECONDS = 300.0
PAID_WITHIN_SECONDS = 180.0
LOOK_AGAIN_SECONDS = 3.0
# More at once would only queue inside one machine's API.
CREATES_AT_ONCE = 400


@dataclass
class ChaosTest:
    """A plan on a running stack; `counts`, `progress` and `phase` are for whoever displays it."""

    plan: Plan
    stack: Stack
    database: Database
    counts: Counts = field(default_factory=Counts)
    phase: str = "payments"
    merchants: list[str] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    statements: tuple[str, ...] = ()
    patience: float = QUIET_WITHIN_SECONDS

    def __post_init__(self) -> None:
        self.progress = Progress(self.database)
        self._durations: dict[str, float] = {}

    async def run(self) -> tuple[Report, Audit]:
        """Run the plan, wait until nothing is open, audit."""
        async with AsyncExitStack() as held:
            api = await held.enter_async_context(_client(self.stack.api_url))
            control = await held.enter_async_context(_client(self.stack.sandbox_url))
            sandbox = Sandbox(control, self.counts)
            keys = await self._register()
            await self._sabotage()
            backends = [Backend(api, key, self.counts) for key in keys]
            for task in (
                asyncio.create_task(self.progress.watch()),
                asyncio.create_task(sweeps_by_plan(self.plan, self.stack, self.counts)),
            ):
                held.callback(task.cancel)
            await self._disturb(backends, sandbox)
            quiet = await self._until_quiet(sandbox)
            made = await self._audit()
            written = report(
                self.plan,
                self.progress,
                self.counts,
                await self._sandbox_record(sandbox),
                self._durations,
            )
            written.quiet, written.audit = quiet, of_audit(made)
            return written, made

    async def _disturb(self, backends: list[Backend], sandbox: Sandbox) -> None:
        begun = time.monotonic()
        for provider, fault in self.plan.at_start:
            await sandbox.plant(provider, None, fault)
        chaos = asyncio.gather(
            kill_by_plan(self.plan, self.stack, self.counts, begun),
            endpoint_faults_by_plan(self.plan, self.merchants, sandbox, begun),
            floods_by_plan(
                self.plan, self.stack.api_url, await self._flooder(), self.counts, begun
            ),
        )
        await asyncio.gather(
            *(self._run_order(order, backends, sandbox, begun) for order in self.plan.orders)
        )
        chaos.cancel()
        with suppress(asyncio.CancelledError):
            await chaos
        for service in Service:
            await self.stack.wait_ready(service)
        self._durations["chaos"] = round(time.monotonic() - begun, 1)

    async def _run_order(
        self, order: PlannedOrder, backends: list[Backend], sandbox: Sandbox, begun: float
    ) -> None:
        await asyncio.sleep(max(begun + order.at - time.monotonic(), 0))
        patience = min(self.patience, PAID_WITHIN_SECONDS)
        shared = Shared(
            sandbox, self.progress, self.counts, self._terminate, self.stack.identity, patience
        )
        run = OrderRun(order, self.merchants[order.merchant], backends[order.merchant], shared)
        try:
            await run.go()
        except ChaosError as error:
            self.counts.surprises.append(f"order {order.order_no}: {error}")
        except asyncio.CancelledError as error:
            if _asked_to_stop():
                raise
            # A library gave up on its own account: one order's trouble, not the end of the run.
            where = traceback.extract_tb(error.__traceback__)[-1]
            self.counts.surprises.append(f"order {order.order_no}: cut off in {where}")

    async def _terminate(self, payment_id: UUID) -> None:
        client = await self.stack.temporal_client()
        await client.get_workflow_handle(payment_workflow_id(payment_id)).terminate("the chaos")

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
        if not self.progress.calm:
            return False
        try:
            books = await read_records(await self._scope())
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
        return on_the_wire <= flagged and self.progress.calm

    async def _audit(self) -> Audit:
        self.phase = "audit"
        begun = time.monotonic()
        made = await audit(await self._scope())
        self._durations["audit"] = round(time.monotonic() - begun, 1)
        seen = [_overdrawn(id_.hex) for id_ in sorted(self.progress.overdrawn)]
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
        self.secrets |= key_material(settings.read_accounts()) | _of_payers(self.plan.orders)
        keys, run = [], uuid4().hex[:6]
        for number in range(self.plan.merchants):
            name, secret = f"chaos-{run}-{number}", new_secret()
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
            key = await ApiKeyStore(self.database).create(name, "chaos")
            self.merchants.append(name)
            self.secrets |= {f"API key of {name}": key, f"webhook secret of {name}": secret}
            keys.append(key)
        return keys

    async def _flooder(self) -> str:
        """The API key of a merchant that does nothing but flood."""
        name = f"flood-{uuid4().hex[:6]}"
        await MerchantStore(self.database).create(Merchant(id=name, name=name))
        return await ApiKeyStore(self.database).create(name, "chaos")

    async def _sabotage(self) -> None:
        owner = Database(self.stack.database_owner_url)
        async with owner.transaction() as connection:
            for statement in self.statements:
                await connection.execute(text(statement))
        await owner.close()

    async def _sandbox_record(self, sandbox: Sandbox) -> SandboxRecord:
        webhooks: Counter[str] = Counter()
        for name in self.merchants:
            for row in await sandbox.get(f"merchant/{name}"):
                webhooks[f"answered {row['status']}"] += 1
        return SandboxRecord(
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


def _of_payers(orders: Iterable[PlannedOrder]) -> dict[str, str]:
    """What payers told us, which nobody else may read."""
    codes = {
        f"payment code {number}": order.payer["auth_code"]
        for number, order in enumerate(orders)
        if "auth_code" in order.payer
    }
    openids = {
        f"open id {provider} {number}": open_id
        for provider, cases in CASES.items()
        for number, open_id in enumerate(cases.open_ids)
    }
    return codes | openids


def _overdrawn(payment: str) -> Finding:
    return Finding(
        Promise.OVER_REFUND,
        payment,
        "for a moment more was reserved and refunded than was captured",
        "The database's own constraint must refuse this.",
    )
