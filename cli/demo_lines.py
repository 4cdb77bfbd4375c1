"""The payments of the demo, one a channel, and what must become of each."""

import secrets
from dataclasses import dataclass, field
from enum import StrEnum


class Course(StrEnum):
    """What happens to a payment after its checkout."""

    PAID = "paid"
    LOST = "paid, notification lost"
    EXPIRED = "never paid"
    REFUNDED = "paid, refunded in two parts"
    PROVED = "bought, proved by the app"
    RESTORED = "bought, restored on a new phone"
    TAKEN_BACK = "bought, refunded by Apple"


class Step(StrEnum):
    """The stations of a payment, in order."""

    CREATED = "created"
    CHECKOUT = "checkout"
    PAID = "paid"
    NOTIFIED = "notified"
    ENDED = "ended"
    TOLD = "told"


# Of the sandbox's catalogue, each of another type.
COINS, SEASON = "com.paysaga.tea.coins", "com.paysaga.tea.season"
RECIPES, MONTHLY = "com.paysaga.tea.recipes", "com.paysaga.tea.monthly"
_LATER_EVENTS = {
    Course.REFUNDED: ("refund.succeeded", "refund.succeeded"),
    Course.TAKEN_BACK: ("entitlement.changed", "refund.succeeded"),
}
_SILENT = (Course.LOST, Course.EXPIRED, Course.PROVED)


@dataclass
class Line:
    """One payment: what is asked (`amount` in fen), and how far it got, in seconds.

    `product` is what a store sells by itself, for the catalogue's `amount`.
    """

    provider: str
    account: str
    channel: str
    amount: int
    payer: dict[str, str] = field(default_factory=dict)
    course: Course = Course.PAID
    product: str = ""
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
        silent_barcode = (self.provider, self.channel) == ("wechatpay", "barcode")
        return silent_barcode or self.course in _SILENT

    @property
    def instead(self) -> str:
        """What told us of the payment where no notification did."""
        return {Course.EXPIRED: "-", Course.PROVED: "proved"}.get(self.course, "asked")


def lines() -> list[Line]:
    """Every channel of every provider, then those that go another way."""
    ip = {"client_ip": "203.0.113.7"}
    return [
        Line("alipay", "main", "app", 1999),
        Line("alipay", "main", "page", 12900),
        Line("alipay", "cert", "wap", 4550),
        Line("alipay", "aes", "qr", 880),
        Line("alipay", "cert", "jsapi", 3600, {"open_id": "074a1CcTG1LelxKe4xQC0zgNdId0nxi95b5"}),
        Line("alipay", "main", "barcode", 1250, {"auth_code": _code("281234")}),
        Line("wechatpay", "cert", "app", 2999, ip),
        Line("wechatpay", "pubkey", "jsapi", 690, {"open_id": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}),
        Line("wechatpay", "cert", "wap", 5500, ip),
        Line("wechatpay", "pubkey", "qr", 100, ip),
        Line("wechatpay", "cert", "barcode", 2350, {"auth_code": _code("130061")}),
        Line("unionpay", "main", "app", 3999),
        Line("unionpay", "main", "page", 8800),
        Line("unionpay", "old", "wap", 1560),
        Line("unionpay", "sm3", "qr", 720),
        Line("unionpay", "main", "barcode", 4300, {"auth_code": _code("6228480")}),
        Line("apple_iap", "main", "iap", 600, product=COINS),
        Line("apple_iap", "main", "iap", 4500, product=SEASON, course=Course.PROVED),
        Line("apple_iap", "main", "iap", 3000, product=RECIPES, course=Course.RESTORED),
        Line("apple_iap", "main", "iap", 1800, product=MONTHLY, course=Course.TAKEN_BACK),
        Line("wechatpay", "cert", "qr", 6400, ip, Course.REFUNDED),
        Line("unionpay", "main", "qr", 5100, course=Course.REFUNDED),
        Line("alipay", "main", "qr", 7300, course=Course.LOST),
        Line("alipay", "main", "qr", 9900, course=Course.EXPIRED),
    ]


def _code(prefix: str) -> str:
    """A code on a payer's screen, which pays one order only and by its ending succeeds."""
    return f"{prefix}{secrets.randbelow(10**8):08}9999"
