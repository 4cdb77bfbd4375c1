"""The payments of the demo, one a channel, and what must become of each."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Course(StrEnum):
    """What happens to a payment after its checkout."""

    PAID = "paid"
    LOST = "paid, notification lost"
    EXPIRED = "never paid"
    REFUNDED = "paid, refunded in two parts"
    PROVED = "bought, proved by the app"
    RESTORED = "bought, restored on a new phone"
    TAKEN_BACK = "bought, refunded by the store"


class Step(StrEnum):
    """The stations of a payment, in order."""

    CREATED = "created"
    CHECKOUT = "checkout"
    PAID = "paid"
    NOTIFIED = "notified"
    FINAL = "final"
    DELIVERED = "delivered"


_LATER_EVENTS = {
    Course.REFUNDED: ("refund.succeeded", "refund.succeeded"),
    Course.TAKEN_BACK: ("entitlement.changed", "refund.succeeded"),
}
_WITHOUT_NOTIFICATION = (Course.LOST, Course.EXPIRED, Course.PROVED)


@dataclass
class Line:
    """One payment: what is ordered (`amount` in fen), and how far it got, in seconds.

    `product` is what a store sells by itself, for the catalogue's `amount`; `notified` is false
    where the provider sends no notification of the channel.
    """

    provider: str
    account: str
    channel: str
    amount: int
    payer: dict[str, str] = field(default_factory=dict)
    course: Course = Course.PAID
    product: str = ""
    notified: bool = True
    transaction_id: str = ""
    reached: dict[Step, float] = field(default_factory=dict)
    checkout: str = ""
    status: str = ""
    refunded: int = 0
    problem: str = ""
    payment_id: str = ""

    @property
    def expected_status(self) -> str:
        """What the payment must end as."""
        return "closed" if self.course is Course.EXPIRED else "succeeded"

    @property
    def expected_events(self) -> list[str]:
        """What the merchant must be told, in order."""
        return [f"payment.{self.expected_status}", *_LATER_EVENTS.get(self.course, ())]

    @property
    def expected_refunds(self) -> int:
        """What must have gone back to the payer, in fen."""
        return self.amount if self.course in (Course.REFUNDED, Course.TAKEN_BACK) else 0

    @property
    def silent(self) -> bool:
        """No notification is to be expected: none is sent, or it is lost on purpose."""
        return not self.notified or self.course in _WITHOUT_NOTIFICATION

    @property
    def instead(self) -> str:
        """How we learned of the payment where no notification came."""
        return {Course.EXPIRED: "-", Course.PROVED: "proved"}.get(self.course, "queried")


def lines(manifest: Mapping[str, Any]) -> list[Line]:
    """The payments that each of the sandbox's providers hands out, those that succeed first."""
    found = [
        _line(provider, payment)
        for provider, payments in manifest["demo"].items()
        for payment in payments
    ]
    return sorted(found, key=lambda line: line.course is not Course.PAID)


def _line(provider: str, payment: Mapping[str, Any]) -> Line:
    payer = dict(payment["payer"])
    if "auth_code" in payer:
        payer["auth_code"] = _code(payer["auth_code"])
    return Line(
        provider=provider,
        account=payment["account"],
        channel=payment["channel"],
        amount=payment["amount"],
        payer=payer,
        course=Course[payment["course"].upper()],
        product=payment["product"],
        notified=payment["notified"],
    )


def _code(prefix: str) -> str:
    """A code on a payer's screen, which pays one order only and by its ending succeeds."""
    return f"{prefix}{secrets.randbelow(10**8):08}9999"
