"""The plan of a chaos test: pure, and the same for the same seed and size."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Course(StrEnum):
    """What the payer and the merchant do with a payment."""

    PAID = "paid"
    TILL = "paid at the till"
    UNPAID = "never paid"
    CANCELLED = "cancelled by the merchant"
    LATE = "paid after it was closed"
    DECLINED = "declined, then paid"
    OTHER_AMOUNT = "paid with another amount"
    TWICE = "one order paid by two payments"
    ABANDONED = "paid after its workflow was terminated"
    LOST = "paid after its workflow was terminated, without a notification"
    SOLD = "sold by a store that says so"
    PROVEN = "sold by a store, proved by the app alone"
    STORE_REFUND = "sold by a store and refunded by it"


OF_STORES = frozenset({Course.SOLD, Course.PROVEN, Course.STORE_REFUND})


@dataclass(frozen=True)
class Fault:
    """One misbehaviour of the provider, as the sandbox's control API takes it."""

    operation: str
    kind: str
    params: dict[str, Any] = field(default_factory=dict)
    times: int = 1


@dataclass(frozen=True)
class PlannedRefund:
    """One refund; `amount` in fen. Those of one `wave` are asked for at the same time."""

    key: str
    amount: int
    wave: int
    copies: int = 1
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True)
class PlannedOrder:
    """One order: its payment (or two), what goes wrong with it, its refunds. Times in seconds.

    `copies` of the creating request go out together (so do those of a purchase's proof),
    `contradicted` sends another body under the same key, `forgeries` are false notifications sent
    on top, `strangers` how often another merchant's genuine notification names this payment.
    """

    number: int
    at: float
    merchant: int
    provider: str
    account: str
    channel: str
    amount: int
    course: Course
    payer: dict[str, str]
    expires_in: int
    pay_after: float
    faults: tuple[Fault, ...]
    copies: int = 1
    contradicted: bool = False
    synced: bool = False
    forgeries: tuple[str, ...] = ()
    strangers: int = 0
    refunds: tuple[PlannedRefund, ...] = ()
    product: str | None = None
    quantity: int = 1

    @property
    def order_no(self) -> str:
        """The merchant's own number."""
        return f"chaos-{self.number}"

    @property
    def keys(self) -> tuple[str, ...]:
        """The idempotency keys of its payments."""
        twin = (f"{self.order_no}-again",) if self.course is Course.TWICE else ()
        return (self.order_no, *twin)


@dataclass(frozen=True)
class Kill:
    """SIGKILL for one process, `at` seconds after the start."""

    at: float
    service: str


@dataclass(frozen=True)
class EndpointFault:
    """How a merchant's endpoint answers its next webhooks."""

    at: float
    merchant: int
    answer: dict[str, Any]


class FloodKind(StrEnum):
    """Who floods: one without an API key, one at a notify address, one merchant."""

    BAD_KEYS = "bad-keys"
    GARBAGE = "garbage"
    MERCHANT = "merchant"


@dataclass(frozen=True)
class Flood:
    """Requests as fast as they are answered, on so many connections, for so many seconds."""

    at: float
    kind: FloodKind
    seconds: float = 5.0
    connections: int = 4


@dataclass(frozen=True)
class Plan:
    """Everything that will be done. `accepting` are the merchants that keep late money.

    `at_start` are faults, each with its provider, of calls that no payment makes. `sweep_every` are
    the seconds between two sweeps (0: none).
    """

    seed: int
    orders: tuple[PlannedOrder, ...]
    kills: tuple[Kill, ...]
    endpoint_faults: tuple[EndpointFault, ...]
    at_start: tuple[tuple[str, Fault], ...]
    merchants: int
    accepting: tuple[int, ...]
    floods: tuple[Flood, ...] = ()
    sweep_every: float = 0

    @property
    def digest(self) -> str:
        """Names the plan: two runs with the same digest do the same."""
        text = json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def planned_faults(self) -> dict[str, int]:
        """How often each fault is planned, by its name."""
        counts: dict[str, int] = {}
        faults = [(order.provider, fault) for order in self.orders for fault in _faults(order)]
        faults += self.at_start
        for provider, fault in faults:
            name = f"{provider} {fault.operation}: {fault.kind}"
            counts[name] = counts.get(name, 0) + fault.times
        for order in self.orders:
            for forgery in order.forgeries:
                name = f"{order.provider} forged: {forgery}"
                counts[name] = counts.get(name, 0) + 1
            if order.strangers:
                name = f"{order.provider} stranger: foreign_app"
                counts[name] = counts.get(name, 0) + order.strangers
        for flood in self.floods:
            name = f"api flood: {flood.kind}"
            counts[name] = counts.get(name, 0) + 1
        return dict(sorted(counts.items()))


def _faults(order: PlannedOrder) -> list[Fault]:
    return [*order.faults, *(fault for refund in order.refunds for fault in refund.faults)]
