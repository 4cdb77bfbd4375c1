"""The records that an audit compares, as plain values. Amounts are fen."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TypeVar
from uuid import UUID

from domain.event import Event
from domain.identity import (
    late_workflow_id,
    payment_workflow_id,
    refund_workflow_id,
    store_workflow_id,
)
from domain.payment import Payment, PaymentStatus
from domain.refund import Refund
from providers.unionpay.statement import Statement

Item = TypeVar("Item")


@dataclass(frozen=True)
class Chain:
    """A chain of a store's transactions, one of which was granted to the payment."""

    payment_id: UUID
    provider: str
    account: str
    original_transaction_id: str

    @property
    def workflow_id(self) -> str:
        """The id of the workflow that applies the store's reports on it."""
        return store_workflow_id(self.provider, self.account, self.original_transaction_id)


@dataclass(frozen=True)
class DatabaseRecords:
    """What our database says."""

    payments: list[Payment]
    refunds: list[Refund]
    events: list[Event]
    chains: list[Chain] = field(default_factory=list)


@dataclass(frozen=True)
class ProviderOrder:
    """One order at a provider; `reference` is our payment's id in hex.

    `payable`: a payer could pay it now; `begun`: it exists for the provider's close call too.
    """

    provider: str
    merchant: str
    reference: str
    amount: int
    status: str
    payable: bool = False
    begun: bool = True


@dataclass(frozen=True)
class Move:
    """Money that moved: to the merchant, or with a `refund_reference` back to the payer."""

    provider: str
    merchant: str
    reference: str
    amount: int
    refund_reference: str | None = None
    at: datetime | None = None


@dataclass(frozen=True)
class Attempt:
    """One notification that the provider sent; `fault` says how it was false."""

    provider: str
    reference: str
    fault: str | None
    accepted: bool
    at: datetime | None = None


@dataclass(frozen=True)
class ProviderRecords:
    """What the providers executed."""

    orders: list[ProviderOrder]
    moves: list[Move]
    attempts: list[Attempt] = field(default_factory=list)


@dataclass(frozen=True)
class Message:
    """One webhook as it arrived; `place` orders the arrivals, `status` is what it was answered."""

    place: int
    merchant: str
    event_id: str
    type: str
    status: int
    subject: str = ""
    amount: int | None = None


@dataclass(frozen=True)
class OpenWorkflow:
    """An open workflow. `busy`: an activity, a child or a workflow task is under way.

    `steps` names the activities under way; `stuck` is why the workflow task at
    hand is not done.
    """

    id: str
    busy: bool = False
    stuck: str | None = None
    steps: tuple[str, ...] = ()


@dataclass(frozen=True)
class SettlementFile:
    """One of UnionPay's files; `accounts` are ours with that merchant number."""

    statement: Statement
    accounts: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Records:
    """Everything; None where a book cannot be read (a real provider, no pretend merchant).

    `inbox` holds the webhooks of all merchants but those in `unread`, whose endpoint is elsewhere.
    """

    ours: DatabaseRecords
    provider: ProviderRecords | None = None
    inbox: list[Message] | None = None
    unread: frozenset[str] = frozenset()
    workflows: list[OpenWorkflow] | None = None
    statements: tuple[SettlementFile, ...] = ()
    read_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @cached_property
    def cases(self) -> list["Case"]:
        """The records again, payment by payment."""
        refunds = _grouped(self.ours.refunds, lambda refund: refund.payment_id.hex)
        events = _grouped(self.ours.events, lambda event: event.payment_id.hex)
        orders = _grouped(self._of_providers.orders, lambda order: order.reference)
        moves = _grouped(self._of_providers.moves, lambda move: move.reference)
        inbox = _grouped(self.inbox or (), lambda message: message.event_id)
        chains = _grouped(self.ours.chains, lambda chain: chain.payment_id.hex)
        workflows = {workflow.id: workflow for workflow in self.workflows or ()}
        cases = []
        for payment in self.ours.payments:
            name = payment.reference
            received = [m for event in events[name] for m in inbox[str(event.id)]]
            case = Case(payment, refunds[name], events[name], orders[name], moves[name], received)
            case.read_at, case.chains = self.read_at, chains[name]
            case.workflows.extend(workflows[id_] for id_ in case.workflow_ids if id_ in workflows)
            cases.append(case)
        return cases

    @property
    def _of_providers(self) -> ProviderRecords:
        return self.provider or ProviderRecords([], [])


@dataclass
class Case:
    """All records of one payment."""

    payment: Payment
    refunds: list[Refund] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    orders: list[ProviderOrder] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    received: list[Message] = field(default_factory=list)
    workflows: list[OpenWorkflow] = field(default_factory=list)
    chains: list[Chain] = field(default_factory=list)
    read_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def name(self) -> str:
        """The payment's id in hex."""
        return self.payment.reference

    @property
    def captures(self) -> list[int]:
        """What came in at the provider."""
        return [move.amount for move in self.moves if move.refund_reference is None]

    @property
    def refunded(self) -> int:
        """What went back there."""
        return sum(move.amount for move in self.moves if move.refund_reference is not None)

    @property
    def flagged(self) -> bool:
        """An operator was called, for the payment or for one of its refunds."""
        flags = [self.payment.attention, *(refund.attention for refund in self.refunds)]
        return any(flag is not None for flag in flags)

    @property
    def running(self) -> bool:
        """A workflow is still at it: what differs now may agree in a moment."""
        return bool(self.workflows)

    @property
    def watching(self) -> bool:
        """Closed before its payer opened it: watched until it can't be paid any more.

        Also where a late workflow took its money, which the payment's own does not know.
        """
        closed = self.payment.status is PaymentStatus.CLOSED or self.payment.late
        return closed and self.payment.expires_at > self.read_at

    @property
    def under_way(self) -> bool:
        """A workflow is at it that does more than watch."""
        watch = payment_workflow_id(self.payment.id) if self.watching else None
        return any(workflow.id != watch for workflow in self.workflows)

    @property
    def workflow_ids(self) -> list[str]:
        """The ids of every workflow that may be about this payment."""
        refunds = [refund_workflow_id(refund.id) for refund in self.refunds]
        stores = dict.fromkeys(chain.workflow_id for chain in self.chains)
        own = [payment_workflow_id(self.payment.id), late_workflow_id(self.payment.id)]
        return [*own, *refunds, *stores]


def _grouped(items: Iterable[Item], key: Callable[[Item], str]) -> dict[str, list[Item]]:
    groups: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return groups
