"""A provider for tests: it keeps true books of its own, and fails exactly as it is told."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from domain.checkout import Checkout, CheckoutKind, Created
from domain.errors import OutcomeUnknown, ProviderRejected
from domain.notification import Acknowledgement, Notification, NotificationKind
from domain.payment import Channel, Payment
from domain.refund import Refund
from domain.report import Outcome, PaymentReport, RefundOutcome, RefundReport
from providers.base import ChannelRules


@dataclass
class Order:
    amount: int
    state: Outcome = Outcome.PENDING
    refunds: dict[str, int] = field(default_factory=dict)


@dataclass
class Fault:
    """What the next call of a verb does; `executed` whether the provider acted on it.

    A call waits for its `gate`, and one that hangs is never answered.
    """

    error: Exception | None = None
    executed: bool = False
    report: PaymentReport | RefundReport | None = None
    hang: bool = False
    gate: asyncio.Event | None = None


def unknown(message: str = "the answer was lost") -> OutcomeUnknown:
    return OutcomeUnknown(message, provider="scripted", provider_code="TIMEOUT")


def rejected(code: str = "NO") -> ProviderRejected:
    return ProviderRejected(
        f"scripted answered {code}", provider="scripted", provider_code=code, provider_message="no"
    )


class ScriptedProvider:
    name = "scripted"
    account = "main"
    channels: Mapping[Channel, ChannelRules] = MappingProxyType(
        {channel: ChannelRules() for channel in Channel}
    )
    currencies = frozenset({"CNY"})
    confirms_notifications = False

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.faults: dict[tuple[str, str], list[Fault]] = {}
        self.calls: list[tuple[str, str]] = []
        self.refund_states: dict[str, RefundOutcome] = {}

    def script(self, verb: str, reference: str, *faults: Fault) -> None:
        self.faults.setdefault((verb, reference), []).extend(faults)

    def pay(self, reference: str) -> None:
        self.orders[reference].state = Outcome.PAID

    def sent(self, verb: str, reference: str) -> int:
        return self.calls.count((verb, reference))

    async def create(self, payment: Payment) -> Created:
        fault = self._fault("create", payment.reference)
        if fault is None or fault.executed:
            self.orders.setdefault(payment.reference, Order(payment.amount))
        await self._fail(fault)
        if payment.channel is Channel.BARCODE:
            return Created(checkout=Checkout(kind=CheckoutKind.NONE), report=self._report(payment))
        return Created(checkout=Checkout(kind=CheckoutKind.QR, value=f"qr:{payment.reference}"))

    async def query(self, payment: Payment) -> PaymentReport:
        return await self._answer(self._fault("query", payment.reference), payment)

    async def close(self, payment: Payment) -> PaymentReport:
        fault = self._fault("close", payment.reference)
        order = self.orders.get(payment.reference)
        if order and order.state is Outcome.PENDING and (fault is None or fault.executed):
            order.state = Outcome.CLOSED
        return await self._answer(fault, payment)

    async def refund(self, refund: Refund, payment: Payment) -> RefundReport:
        fault = self._fault("refund", refund.reference)
        if fault is None or fault.executed:
            order = self.orders[payment.reference]
            order.refunds[refund.reference] = refund.amount
            assert sum(order.refunds.values()) <= order.amount, "more was given back than was paid"
        await self._fail(fault)
        if fault is not None and isinstance(fault.report, RefundReport):
            return fault.report
        return self.refund_report(refund)

    async def query_refund(self, refund: Refund, payment: Payment) -> RefundReport:
        fault = self._fault("query_refund", refund.reference)
        await self._fail(fault)
        if fault is not None and isinstance(fault.report, RefundReport):
            return fault.report
        order = self.orders.get(payment.reference)
        if order is None or refund.reference not in order.refunds:
            return self.refund_report(refund, RefundOutcome.NOT_FOUND)
        return self.refund_report(refund)

    async def parse_notification(self, headers: Mapping[str, str], body: bytes) -> Notification:
        raise AssertionError(headers, body)

    def parse_return(self, query: str) -> str | None:
        raise AssertionError(query)

    def acknowledge(self, *, accepted: bool, message: str = "") -> Acknowledgement:
        raise AssertionError(accepted, message)

    def refund_report(self, refund: Refund, outcome: RefundOutcome | None = None) -> RefundReport:
        found = outcome or self.refund_states.get(refund.reference, RefundOutcome.SUCCEEDED)
        return RefundReport(
            reference=refund.payment_reference,
            refund_reference=refund.reference,
            outcome=found,
            raw_status=found.upper(),
            amount=refund.amount,
        )

    def refunded(self, reference: str) -> int:
        return sum(self.orders[reference].refunds.values())

    async def _answer(self, fault: Fault | None, payment: Payment) -> PaymentReport:
        await self._fail(fault)
        if fault is not None and isinstance(fault.report, PaymentReport):
            return fault.report
        return self._report(payment)

    def _report(self, payment: Payment) -> PaymentReport:
        order = self.orders.get(payment.reference)
        state = order.state if order else Outcome.NOT_FOUND
        return report(payment, state)

    def _fault(self, verb: str, reference: str) -> Fault | None:
        self.calls.append((verb, reference))
        waiting = self.faults.get((verb, reference))
        return waiting.pop(0) if waiting else None

    async def _fail(self, fault: Fault | None) -> None:
        if fault is not None and fault.hang:
            await asyncio.Event().wait()
        if fault is not None and fault.gate is not None:
            await fault.gate.wait()
        if fault is not None and fault.error is not None:
            raise fault.error


def report(payment: Payment, outcome: Outcome, amount: int | None = None) -> PaymentReport:
    paid = outcome is Outcome.PAID
    return PaymentReport(
        reference=payment.reference,
        outcome=outcome,
        raw_status=outcome.upper(),
        provider_reference=f"P{payment.reference}" if paid else None,
        amount=(amount or payment.amount) if paid else None,
        currency="CNY" if paid else None,
    )


def claim(found: RefundReport) -> Notification:
    """What a provider sends whose rule is that a query confirms its notifications."""
    return notification(found).model_copy(update={"needs_confirmation": True})


def notification(found: PaymentReport | RefundReport) -> Notification:
    of_payment = isinstance(found, PaymentReport)
    return Notification(
        provider="scripted",
        account="main",
        notification_id=f"{found.outcome}-{found.reference}",
        kind=NotificationKind.PAYMENT if of_payment else NotificationKind.REFUND,
        reference=found.reference,
        payment=found if isinstance(found, PaymentReport) else None,
        refund=found if isinstance(found, RefundReport) else None,
    )
