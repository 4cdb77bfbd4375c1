"""The guards that a chaos test can break, and the small plan that shows each is needed."""

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from cli.embedded.config import Service
from cli.embedded.program import Program
from cli.embedded.stack import Stack
from reconciliation.audit.finding import Promise
from verification.chaos.plan import Course, Fault, Kill, Plan, PlannedOrder, PlannedRefund

ORDERS = 24
# What a broken guard leaves open stays open: nobody waits for it for long.
PATIENCE_SECONDS = 40.0
TILL_CODE = "1300610{number:07}9999"

# What the database itself would refuse.
DROPPED = (
    "ALTER TABLE payments DROP CONSTRAINT payments_refunds_within_captured",
    "DROP TRIGGER balance ON payments",
    "DROP TRIGGER balance ON refunds",
)


@dataclass(frozen=True)
class Guard:
    """One guard: what to run instead, on which plan, and what an audit must then name."""

    name: str
    promises: frozenset[Promise]
    plan: Plan
    api: str | None = None
    worker: str | None = None
    statements: tuple[str, ...] = ()

    def instead(self, service: Service, command: Sequence[str]) -> Sequence[str]:
        """The command that runs instead of ours."""
        if service is Service.API and self.api:
            app = f"{self.api}:create_app"
            return [app if part == "api.app:create_app" else part for part in command]
        if service is Service.WORKER and self.worker:
            return [sys.executable, "-m", self.worker]
        return command


class SabotagedStack(Stack):
    """A stack with one guard broken."""

    guard: Guard

    async def _start_child(self, name: Service, program: Program) -> None:
        program = dataclasses.replace(
            program,
            command=self.guard.instead(name, program.command),
            # What is broken in the worker must not be done right in the API.
            environment=dict(program.environment) | {"PAYSAGA_EAGER_START": "false"},
        )
        await super()._start_child(name, program)


def _planned_order(number: int, **change: object) -> PlannedOrder:
    order = PlannedOrder(
        number=number,
        at=number * 0.25,
        merchant=number % 3,
        provider="alipay",
        account="main",
        channel="qr",
        amount=1000 + number,
        course=Course.PAID,
        payer={"client_ip": "203.0.113.7"},
        expires_in=7200,
        pay_after=0.0,
        faults=(),
    )
    return dataclasses.replace(order, **change)  # type: ignore[arg-type]


def _plan(orders: list[PlannedOrder], *kills: Kill) -> Plan:
    return Plan(
        seed=0,
        orders=tuple(orders),
        kills=kills,
        endpoint_faults=(),
        at_start=(),
        merchants=3,
        accepting=(),
    )


def _abandoned() -> list[PlannedOrder]:
    """Payments whose own workflow cannot hear any more: only the late way can."""
    return [_planned_order(n, course=Course.ABANDONED) for n in range(ORDERS)]


def _lost_answers() -> list[PlannedOrder]:
    lost = (Fault("create", "lost_answer", {"seconds": 0}),)
    at_the_till = {"provider": "wechatpay", "account": "cert", "channel": "barcode"}
    return [
        _planned_order(
            n,
            course=Course.TILL,
            payer={"client_ip": "203.0.113.7", "auth_code": TILL_CODE.format(number=n)},
            expires_in=600,
            faults=lost,
            **at_the_till,
        )
        for n in range(ORDERS)
    ]


def _greedy_refunds() -> list[PlannedOrder]:
    silent = (Fault("refund", "server_error", {}, times=2),)
    refunds = tuple(PlannedRefund(f"refund-{n}", 700, wave=0, faults=silent) for n in range(3))
    return [_planned_order(n, amount=1000, refunds=refunds) for n in range(ORDERS)]


_LOST = frozenset({Promise.CLOSED_BUT_PAID, Promise.LOST_PAYMENT})
GUARDS = {
    guard.name: guard
    for guard in (
        Guard(
            "refund-constraint",
            frozenset({Promise.OVER_REFUND}),
            _plan(_greedy_refunds()),
            worker="verification.chaos.broken.refunds_unchecked",
            statements=DROPPED,
        ),
        Guard(
            "acknowledge-after-signal",
            _LOST,
            # While notifications are queued.
            _plan(_abandoned(), Kill(3.0, "api"), Kill(12.0, "api")),
            api="verification.chaos.broken.acknowledged_first",
        ),
        Guard(
            "timeout-is-unknown",
            _LOST,
            _plan(_lost_answers()),
            worker="verification.chaos.broken.timeout_is_failure",
        ),
        Guard(
            "late-path",
            _LOST,
            _plan(_abandoned()),
            api="verification.chaos.broken.late_path_forgotten",
        ),
    )
}
