from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from domain.event import DeliveryStatus, Event, EventType, payment_data, refund_data
from domain.payment import Channel, Payment, PaymentStatus
from domain.refund import Refund, RefundStatus
from reconciliation.audit.compare import compare
from reconciliation.audit.finding import Finding, Promise, Severity
from reconciliation.audit.records import (
    Attempt,
    Chain,
    DatabaseRecords,
    Message,
    Move,
    OpenWorkflow,
    ProviderOrder,
    ProviderRecords,
    Records,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Ledger:
    """Records that agree, of one payment that a test then bends. Amounts are fen."""

    def __init__(self) -> None:
        self.payment = a_payment()
        self.others: list[Payment] = []
        self.refunds: list[Refund] = []
        self.events: list[Event] = []
        self.orders = [
            ProviderOrder("alipay", "2088", self.payment.reference, 1000, "TRADE_SUCCESS")
        ]
        self.moves = [Move("alipay", "2088", self.payment.reference, 1000)]
        self.attempts: list[Attempt] = []
        self.inbox: list[Message] = []
        self.workflows: list[OpenWorkflow] = []
        self.chains: list[Chain] = []
        self.tell(EventType.PAYMENT_SUCCEEDED)

    def bend(self, **change: Any) -> None:
        """The payment in our database is otherwise."""
        self.payment = self.payment.model_copy(update=change)

    def closed(self) -> None:
        """Nothing was paid and both sides closed it."""
        self.bend(status=PaymentStatus.CLOSED, captured=0)
        self.orders = [replace(self.orders[0], status="TRADE_CLOSED")]
        self.moves, self.events, self.inbox = [], [], []
        self.tell(EventType.PAYMENT_CLOSED)

    def tell(self, kind: EventType, refund: Refund | None = None) -> Event:
        """An event in our records, taken by the merchant."""
        event = Event(
            id=uuid4(),
            payment_id=self.payment.id,
            refund_id=refund.id if refund else None,
            merchant_id="tea",
            sequence=len(self.events) + 1,
            type=kind,
            data=refund_data(refund) if refund else payment_data(self.payment),
            created_at=NOW,
            delivery=DeliveryStatus.DELIVERED,
        )
        self.events.append(event)
        self.hear(event)
        return event

    def hear(self, event: Event, status: int = 200) -> None:
        """The event arrives at the merchant."""
        message = Message(len(self.inbox), "tea", str(event.id), event.type, status)
        self.inbox.append(message)

    def refund(self, amount: int, status: RefundStatus = RefundStatus.SUCCEEDED) -> Refund:
        """A refund on which all records agree."""
        refund = Refund(
            id=uuid4(),
            payment_id=self.payment.id,
            merchant_id="tea",
            idempotency_key=uuid4().hex,
            request_hash="0",
            provider="alipay",
            account="main",
            amount=amount,
            created_at=NOW,
            status=status,
        )
        self.refunds.append(refund)
        if status is RefundStatus.SUCCEEDED:
            self.bend(refunded=self.payment.refunded + amount)
            self.give_back(refund)
            self.tell(EventType.REFUND_SUCCEEDED, refund)
        if status is RefundStatus.PENDING:
            self.bend(refund_reserved=self.payment.refund_reserved + amount)
            self.workflows.append(OpenWorkflow(f"refund-{refund.reference}"))
        return refund

    def give_back(self, refund: Refund) -> None:
        """The refund's money moves at the provider."""
        back = Move("alipay", "2088", self.payment.reference, refund.amount, refund.reference)
        self.moves.append(back)

    def sold_by_store(self) -> Chain:
        """The payment was granted what a store sold."""
        chain = Chain(self.payment.id, "apple_iap", "main", "2000000000000001")
        self.chains.append(chain)
        return chain

    def records(self) -> Records:
        """As an audit reads them."""
        return Records(
            DatabaseRecords([self.payment, *self.others], self.refunds, self.events, self.chains),
            ProviderRecords(self.orders, self.moves, self.attempts),
            self.inbox,
            workflows=self.workflows,
        )

    def found(self) -> list[Finding]:
        """What the comparison says."""
        return compare(self.records())

    def promises(self) -> list[Promise]:
        """The kinds of errors, without the notes."""
        return [found.promise for found in self.found() if found.severity is Severity.ERROR]


def a_payment(**change: Any) -> Payment:
    """A payment of ten yuan that succeeded."""
    payment = Payment(
        id=uuid4(),
        merchant_id="tea",
        order_no="tea-1",
        idempotency_key="tea-1",
        request_hash="0",
        provider="alipay",
        account="main",
        channel=Channel.QR,
        amount=1000,
        subject="Longjing",
        created_at=NOW,
        expires_at=NOW + timedelta(minutes=15),
        status=PaymentStatus.SUCCEEDED,
        captured=1000,
    )
    return payment.model_copy(update=change)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()
