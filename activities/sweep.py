"""What the sweep looks at: rows that a workflow must be working on, and what Temporal says of it.

A workflow is gone where an operator terminated it, where Temporal ended it at one of its limits, or
where Temporal's data were lost. It makes no progress where its tasks fail, or where a time is long
over that it waits for.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar
from uuid import UUID

from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.errors import translated
from activities.pollers import RunningBuilds
from activities.workflow_tasks import stuck_task
from domain.alarm import Alarm, AlarmKind
from domain.errors import InvalidRequest
from domain.frozen import Frozen
from domain.identity import payment_workflow_id, refund_workflow_id
from domain.merchant import LatePolicy, late_policy
from domain.payment import Payment, PaymentStatus
from domain.refund import Refund, RefundStatus
from providers.base import ChannelRules
from providers.registry import Registry
from storage.alarms import AlarmStore
from storage.database import Database
from storage.merchants import MerchantStore
from storage.payments import PaymentStore
from storage.unfinished import PAGE, Position, UnfinishedStore

Found = TypeVar("Found")
Row = TypeVar("Row", Payment, Refund)

# A workflow that can't go on is found from this age of its row on, in seconds.
YOUNGEST = 30.0
# An expired payment is closed, or flagged an hour later.
OVERDUE_PAYMENT = timedelta(hours=3)
# A bank may take days to give money back, and no provider more than this.
OVERDUE_REFUND = timedelta(days=15)
# The same workflow is started again so often a day; then only an operator can help.
MOST_RESTARTS_A_DAY = 3
_AT_ONCE = 10
_RPC_SECONDS = timedelta(seconds=10)


class Execution(Frozen):
    """What Temporal says of a workflow's newest execution.

    `status` is None where it knows of none; `stuck` is why its workflow task is not done.
    """

    status: str | None = None
    stuck: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it runs."""
        return self.status == WorkflowExecutionStatus.RUNNING.name


class Finding(Frozen):
    """A payment or refund whose workflow is gone or makes no progress, and why that is believed.

    `repairable` where starting the workflow again helps: there is none.
    """

    workflow_id: str
    reason: str
    repairable: bool = True


class PaymentFinding(Frozen):
    """With what the payment's workflow is started again: the channel's rules as they are now."""

    finding: Finding
    payment: Payment
    rules: ChannelRules
    confirm: bool
    late_policy: LatePolicy


class RefundFinding(Frozen):
    """With what the refund's workflow is started again: its channel's rules as they are now."""

    finding: Finding
    refund: Refund
    payment: Payment
    rules: ChannelRules = ChannelRules()


class Page(Frozen):
    """Which rows to examine: older than so many seconds, behind a position (None: all).

    Of rows that are younger, from `YOUNGEST` on, only those are found whose open workflow can't go
    on: that it is gone is the business of the request that made them.
    """

    older_than: float
    after: Position | None = None


class Findings(Frozen, Generic[Found]):
    """A page of rows: how many were examined, what was found, and where the next page starts."""

    examined: int
    found: list[Found]
    next: Position | None


def judge(execution: Execution, *, overdue: bool, young: bool = False) -> tuple[str, bool] | None:
    """Why a row's workflow needs repair and whether a restart helps; None where it is well.

    `overdue` where the row says that the workflow should have ended, or called an operator; `young`
    where its request may still be under way.
    """
    if not execution.is_open:
        if young:
            return None
        return f"no open workflow (last: {execution.status or 'none'})", True
    if execution.stuck is not None:
        # Waiting may help: for a worker of the right build, or one that has the key.
        return f"its workflow task {execution.stuck}", False
    if overdue:
        return "it should have ended or called an operator long ago", False
    return None


def is_overdue(row: Payment | Refund, now: datetime) -> bool:
    """Whether a row should have moved by now, with no operator called."""
    if row.attention is not None:
        return False
    if isinstance(row, Payment):
        return row.status is PaymentStatus.PENDING and now > row.expires_at + OVERDUE_PAYMENT
    return row.status is RefundStatus.PENDING and now > row.created_at + OVERDUE_REFUND


class SweepActivities:
    """Finds what was left behind, and makes room for starting it again."""

    def __init__(self, client: Client, registry: Registry, database: Database) -> None:
        self._client = client
        self._registry = registry
        self._unfinished = UnfinishedStore(database)
        self._payments = PaymentStore(database)
        self._merchants = MerchantStore(database)
        self._alarms = AlarmStore(database)

    @activity.defn
    @translated
    async def examine_payments(self, wanted: Page) -> Findings[PaymentFinding]:
        """Examine a page of payments that are not finished."""
        before = _created_before(wanted)
        page = await self._unfinished.payments(before, after=wanted.after)
        findings = await self._examine(page, payment_workflow_id, wanted)
        # What ended meanwhile needs nothing.
        still = await self._unfinished.payments(before, only=list(findings))
        found = [await self._payment(row, findings[row.id]) for row in still]
        return Findings(examined=len(page), found=found, next=_next(page))

    @activity.defn
    @translated
    async def examine_refunds(self, wanted: Page) -> Findings[RefundFinding]:
        """The same of refunds."""
        before = _created_before(wanted)
        page = await self._unfinished.refunds(before, after=wanted.after)
        findings = await self._examine(page, refund_workflow_id, wanted)
        found = []
        for row in await self._unfinished.refunds(before, only=list(findings)):
            payment = await self._payments.get(row.payment_id)
            if payment is not None:
                rules = self._registry.channel_rules(payment)
                finding = findings[row.id]
                found.append(
                    RefundFinding(finding=finding, refund=row, payment=payment, rules=rules)
                )
        return Findings(examined=len(page), found=found, next=_next(page))

    @activity.defn
    @translated
    async def report_finding(self, finding: Finding) -> bool:
        """Raise the alarm; True where the workflow is to be started again."""
        if finding.repairable:
            restarted = Alarm(
                kind=AlarmKind.WORKFLOW_RESTARTED,
                subject=finding.workflow_id,
                detail=f"{finding.reason}; started again",
            )
            if await self._alarms.raise_alarm(restarted) <= MOST_RESTARTS_A_DAY:
                return True
        stalled = Alarm(
            kind=AlarmKind.WORKFLOW_STALLED, subject=finding.workflow_id, detail=finding.reason
        )
        await self._alarms.raise_alarm(stalled)
        return False

    async def _examine(
        self, page: Sequence[Row], workflow_id: Callable[[UUID], str], wanted: Page
    ) -> dict[UUID, Finding]:
        now, at_once = datetime.now(UTC), asyncio.Semaphore(_AT_ONCE)
        grown, running = now - timedelta(seconds=wanted.older_than), RunningBuilds(self._client)

        async def examine(row: Row) -> tuple[UUID, Finding | None]:
            async with at_once:
                execution = await self._execution(workflow_id(row.id), running)
            young = row.created_at > grown
            judged = judge(execution, overdue=is_overdue(row, now), young=young)
            if judged is None:
                return row.id, None
            reason, repairable = judged
            return row.id, Finding(
                workflow_id=workflow_id(row.id), reason=reason, repairable=repairable
            )

        examined = await asyncio.gather(*map(examine, page))
        return {row_id: finding for row_id, finding in examined if finding is not None}

    async def _execution(self, workflow_id: str, running: RunningBuilds) -> Execution:
        handle = self._client.get_workflow_handle(workflow_id)
        try:
            found = await handle.describe(rpc_timeout=_RPC_SECONDS)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return Execution()
            raise
        return Execution(
            status=found.status.name if found.status else None,
            stuck=await stuck_task(self._client, found, running),
        )

    async def _payment(self, payment: Payment, finding: Finding) -> PaymentFinding:
        merchant = await self._merchants.get(payment.merchant_id)
        rules, confirm = ChannelRules(), False
        try:
            provider = self._registry.get(payment.provider, payment.account)
        except InvalidRequest as error:
            why = f"{finding.reason}; {error.message}"
            finding = finding.model_copy(update={"reason": why, "repairable": False})
        else:
            rules = provider.channels.get(payment.channel, rules)
            confirm = provider.confirms_notifications
        return PaymentFinding(
            finding=finding,
            payment=payment,
            rules=rules,
            confirm=confirm,
            late_policy=late_policy(merchant, refundable=rules.refundable),
        )


def _created_before(wanted: Page) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=min(wanted.older_than, YOUNGEST))


def _next(page: Sequence[Row]) -> Position | None:
    """None where the page was not full: there is nothing more."""
    if len(page) < PAGE:
        return None
    return Position(created_at=page[-1].created_at, id=page[-1].id)
