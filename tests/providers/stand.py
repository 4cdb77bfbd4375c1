"""A provider set up against the sandbox, and the hands of its payer."""

import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx

from domain.checkout import Created
from domain.errors import ProviderUnavailable
from domain.notification import Acknowledgement
from domain.payment import Channel, Payer, Payment
from domain.refund import Refund
from domain.report import PaymentReport
from providers.base import Provider, Refundable, refundable
from tests.providers.harness import Harness

_NUMBERS = itertools.count(1)


@dataclass
class Inbox:
    """Our notify endpoint, as the provider's notifications meet it."""

    received: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    answer: Acknowledgement | None = None

    async def receive(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        self.received.append((str(request.url), dict(request.headers), body))
        if self.answer is None:
            return httpx.Response(503)
        return httpx.Response(
            self.answer.status,
            content=self.answer.body,
            headers={"content-type": self.answer.content_type},
        )


Clock = Callable[[], datetime]


def now() -> datetime:
    return datetime.now(UTC)


def minutes_ago(minutes: float) -> datetime:
    return now() - timedelta(minutes=minutes)


@dataclass
class Time:
    """The provider's clock, which a test can move on together with the sandbox's."""

    clock: Clock
    passed: timedelta = timedelta()

    def __call__(self) -> datetime:
        return self.clock() + self.passed


@dataclass
class Stand:
    """One account of one provider. `control` speaks to the sandbox's control API."""

    harness: Harness
    provider: Provider
    control: httpx.AsyncClient
    inbox: Inbox
    time: Time

    @property
    def remote(self) -> list[Channel]:
        """Where an order is made by a call, and paid by a payer who acts later."""
        rules = self.provider.channels.items()
        return [name for name, rule in rules if not rule.local and name is not Channel.BARCODE]

    @property
    def refunds(self) -> Refundable:
        """The provider's verbs of refunds, where it has them."""
        return refundable(self.provider)

    def payment(self, channel: Channel | None = None, **changes: Any) -> Payment:
        now = self.time()
        channel = channel or self.harness.channel
        values: dict[str, Any] = {
            "id": uuid4(),
            "merchant_id": "shop",
            "order_no": f"order-{next(_NUMBERS)}",
            "idempotency_key": "key",
            "request_hash": "hash",
            "provider": self.provider.name,
            "account": self.provider.account,
            "channel": channel,
            "amount": 1999,
            "subject": "Tea",
            "payer": self.payer(channel),
            "created_at": now,
            "expires_at": now + self.provider.channels[channel].default_expiry,
        }
        return Payment(**{**values, **self.harness.order, **changes})

    def payer(self, channel: Channel) -> Payer:
        return self.harness.payer(channel)

    def refund(self, payment: Payment, amount: int, refund_id: UUID | None = None) -> Refund:
        return Refund(
            id=refund_id or uuid4(),
            payment_id=payment.id,
            merchant_id=payment.merchant_id,
            idempotency_key="key",
            request_hash="hash",
            provider=payment.provider,
            account=payment.account,
            amount=amount,
            created_at=self.time(),
        )

    async def closed(self, payment: Payment) -> PaymentReport:
        """Close; a provider that asks for time first is given it."""
        try:
            return await self.provider.close(payment)
        except ProviderUnavailable as error:
            if error.retry_after is None:
                raise
            self.time.passed += timedelta(seconds=error.retry_after)
            offset = {"offset_seconds": self.time.passed.total_seconds()}
            (await self.control.post("/_sandbox/clock", json=offset)).raise_for_status()
        return await self.provider.close(payment)

    async def paid(self, channel: Channel | None = None, **changes: Any) -> Payment:
        """A payment that its payer has paid, of which nobody was told."""
        payment = self.payment(channel, **changes)
        created = await self.provider.create(payment)
        if created.report is None or created.report.outcome != "paid":
            await self.pay(payment, created)
        return payment

    async def pay(self, payment: Payment, created: Created, amount: int | None = None) -> None:
        content = {
            "provider": self.provider.name,
            "reference": payment.reference,
            "notify": False,
            "checkout": self.harness.checkout(created.checkout),
            "amount": amount,
        }
        await self._control(
            "/pay", {key: value for key, value in content.items() if value is not None}
        )

    async def pay_wrongly(self, payment: Payment, created: Created) -> None:
        """The payer pays, and not what was asked."""
        wrong = self.harness.disagreement
        parameters = {**(created.checkout.parameters or {}), **wrong.sheet} or None
        checkout = created.checkout.model_copy(update={"parameters": parameters})
        await self.pay(payment, created.model_copy(update={"checkout": checkout}), wrong.amount)

    def calls(self, payment: Payment) -> list[Awaitable[object]]:
        """Every question and deed that this provider is called for, once each."""
        provider, rules = self.provider, self.provider.channels[payment.channel]
        refund = self.refund(payment, 1)
        calls: list[Awaitable[object]] = [provider.query(payment), provider.close(payment)]
        if not rules.local:
            calls.append(provider.create(payment))
        if isinstance(provider, Refundable):
            calls += [provider.refund(refund, payment), provider.query_refund(refund, payment)]
        return calls

    async def can_be_paid(self, payment: Payment, created: Created) -> bool:
        try:
            await self.pay(payment, created)
        except httpx.HTTPStatusError:
            return False
        return True

    async def notified(
        self, payment: Payment, refund: Refund | None = None, fault: str = "", **params: Any
    ) -> tuple[dict[str, str], bytes]:
        """Let the provider send one notification now; returns its headers and raw body."""
        await self.notify(payment, refund, fault, **params)
        _, headers, body = self.inbox.received[-1]
        return headers, body

    async def notify(
        self, payment: Payment, refund: Refund | None = None, fault: str = "", **params: Any
    ) -> bool:
        """Let the provider send one notification now; whether our answer satisfied it."""
        content: dict[str, Any] = {
            "provider": self.provider.name,
            "reference": payment.reference,
            "kind": "refund" if refund else "payment",
            "params": params,
        }
        content |= {"refund_reference": refund.reference} if refund else {}
        content |= {"fault": fault} if fault else {}
        return bool((await self._control("/notify", content))["accepted"])

    async def fault(
        self, operation: str, kind: str, about: Payment | Refund, **params: Any
    ) -> None:
        content = {
            "provider": self.provider.name,
            "operation": operation,
            "kind": kind,
            "reference": about.reference,
            "params": params,
        }
        await self._control("/faults", content)

    async def complete(self, refund: Refund) -> None:
        """The bank has had its time; a refund that was done at once stays done."""
        content = {"provider": self.provider.name, "refund_reference": refund.reference}
        response = await self.control.post("/_sandbox/refunds/complete", json=content)
        assert response.status_code in (200, 409), response.text

    async def moved(self, payment: Payment, kind: str) -> list[int]:
        """What really moved for the payment, in fen: `kind` is `capture` or `refund`."""
        response = await self.control.get("/_sandbox/ledger")
        return [
            line["amount"]
            for line in response.json()
            if line["reference"] == payment.reference and line["kind"] == kind
        ]

    async def orders(self, payment: Payment) -> list[dict[str, Any]]:
        params = {"provider": self.provider.name, "reference": payment.reference}
        orders: list[dict[str, Any]] = (
            await self.control.get("/_sandbox/orders", params=params)
        ).json()
        return orders

    async def _control(self, path: str, content: dict[str, Any]) -> dict[str, Any]:
        response = await self.control.post(f"/_sandbox{path}", json=content)
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer
