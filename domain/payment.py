"""What a payment is and how it may change. Pure: no I/O, no clock, no provider's terms.

May live here: the payment's shape, its transitions as data, and the one function that applies a
report. A repeat is a no-op, and a late failure never downgrades a success.
"""

from datetime import datetime
from enum import StrEnum
from typing import Self
from uuid import UUID

from pydantic import Field

from domain.checkout import Checkout
from domain.frozen import Frozen
from domain.money import Amount, Currency
from domain.purchase import Offer, Purchase
from domain.report import MISMATCHES, Attention, Outcome, PaymentReport
from domain.resolution import ResolveAction
from domain.text import Words

# The raw status of a payment that an operator closed over a report that did not fit.
CLOSED_BY_OPERATOR = "closed by an operator"


class Channel(StrEnum):
    """How the payer meets the payment."""

    APP = "app"
    PAGE = "page"
    WAP = "wap"
    QR = "qr"
    JSAPI = "jsapi"
    BARCODE = "barcode"
    IAP = "iap"


class PaymentStatus(StrEnum):
    """Where the payment stands; all but `pending` are final."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CLOSED = "closed"


TRANSITIONS: dict[PaymentStatus, frozenset[PaymentStatus]] = {
    PaymentStatus.PENDING: frozenset(
        {PaymentStatus.SUCCEEDED, PaymentStatus.FAILED, PaymentStatus.CLOSED}
    ),
    PaymentStatus.SUCCEEDED: frozenset(),
    PaymentStatus.FAILED: frozenset(),
    PaymentStatus.CLOSED: frozenset(),
}
# Only by a decision of the merchant's policy or of an operator, never by a report alone.
LATE_TRANSITIONS: dict[PaymentStatus, frozenset[PaymentStatus]] = {
    PaymentStatus.FAILED: frozenset({PaymentStatus.SUCCEEDED}),
    PaymentStatus.CLOSED: frozenset({PaymentStatus.SUCCEEDED}),
}
_STATUS_OF_OUTCOME = {
    Outcome.PAID: PaymentStatus.SUCCEEDED,
    Outcome.FAILED: PaymentStatus.FAILED,
    Outcome.CLOSED: PaymentStatus.CLOSED,
}


class Payer(Frozen):
    """What a channel must know of the payer. Never stored, never searchable, never logged.

    `open_id` is the payer's id at the provider (WeChat openid, Alipay buyer_open_id), `buyer_id`
    Alipay's older user id, `auth_code` the code on the payer's screen for `barcode`, `client_ip`
    the payer's address for browser channels.
    """

    open_id: str | None = Field(default=None, max_length=128)
    buyer_id: str | None = Field(default=None, max_length=32)
    auth_code: str | None = Field(default=None, pattern=r"^\d{16,24}$")
    client_ip: str | None = Field(default=None, max_length=45)


class Failure(Frozen):
    """Why the payment or refund failed: our stable code, and the provider's own text."""

    code: str
    message: Words
    provider_code: Words | None = None
    provider_message: Words | None = None


class Payment(Frozen):
    """One payment: what was ordered, and its state.

    `amount`, `captured`, `refund_reserved` and `refunded` are minor units. `late` means paid after
    we had closed it, `duplicate` that another payment had already paid the same order.

    A payment of a `product` is sold by a store at the store's own price: `amount` is our list
    price of `quantity` of them. `purchase` is the store's statement that paid it, and is kept as a
    grant. Once it is paid, `store_price` (thousandths of `store_currency`) is what the store
    charged, `test` that no real money moved, `offer` that it was sold below the usual price;
    `captured` may be 0.
    """

    id: UUID
    merchant_id: str
    order_no: str
    idempotency_key: str
    request_hash: str
    provider: str
    account: str
    channel: Channel
    amount: Amount
    currency: Currency = "CNY"
    subject: str
    payer: Payer = Payer()
    return_url: str | None = None
    metadata: dict[str, str] = Field(default_factory=dict)
    product_id: str | None = None
    quantity: int = 1
    created_at: datetime
    expires_at: datetime

    status: PaymentStatus = PaymentStatus.PENDING
    checkout: Checkout | None = None
    provider_reference: str | None = None
    raw_status: str | None = None
    captured: int = 0
    refund_reserved: int = 0
    refunded: int = 0
    paid_at: datetime | None = None
    late: bool = False
    duplicate: bool = False
    attention: Attention | None = None
    failure: Failure | None = None
    purchase: Purchase | None = None
    test: bool = False
    store_price: int | None = None
    store_currency: Words | None = None
    offer: Offer | None = None

    @property
    def is_paid(self) -> bool:
        """Money has come, or a store's purchase that cost none: `captured` does not tell."""
        return self.status is PaymentStatus.SUCCEEDED or self.late

    @property
    def charged_elsewhere(self) -> bool:
        """The store charged the buyer what `captured` cannot say: it is in another currency."""
        return self.is_paid and not self.captured and not self.test and bool(self.store_price)

    @property
    def needs_decision(self) -> bool:
        """Whether the mark says that an operator has to decide what to believe."""
        return self.attention in MISMATCHES | {Attention.CONTRADICTION}

    @property
    def reference(self) -> str:
        """Our order number at the provider: the id as 32 hex characters."""
        return self.id.hex

    @property
    def refundable(self) -> int:
        """What may still be refunded, in minor units."""
        return self.captured - self.refund_reserved - self.refunded

    def mismatch(self, report: PaymentReport) -> Attention | None:
        """Why the report cannot be about this payment, or None where it fits.

        Only a report of money is held against the amount: pending and closed orders often carry
        none.
        """
        if report.reference != self.reference:
            return Attention.REFERENCE_MISMATCH
        if report.mismatch is not None:
            return report.mismatch
        return None if report.outcome is not Outcome.PAID else self.money_mismatch(report)

    def money_mismatch(self, report: PaymentReport) -> Attention | None:
        """Why what was paid, or bought, is not what was ordered.

        A store sells at its own price: the product is what must fit, and how many of it.
        """
        if self.product_id is not None:
            fits = report.product_id == self.product_id
            fits = fits and report.quantity in (None, self.quantity)
            return None if fits else Attention.PRODUCT_MISMATCH
        # Before the amount: 100 yen are no other sum of fen, and nobody may accept them as one.
        if report.currency not in (None, self.currency):
            return Attention.CURRENCY_MISMATCH
        return Attention.AMOUNT_MISMATCH if report.amount != self.amount else None

    def is_another_purchase(self, report: PaymentReport) -> bool:
        """Whether a store sold another product under the id of this payment, which is paid.

        The buyer knows the id. The purchase takes nothing back of the one that paid.
        """
        is_other = report.provider_reference != self.provider_reference
        return self.is_paid and is_other and self.mismatch(report) is Attention.PRODUCT_MISMATCH

    def apply(self, report: PaymentReport) -> Self:
        """The payment after this report. A report that changes nothing returns the payment itself.

        Money that arrives for a payment we had closed or failed keeps the status, sets `late` and
        counts as captured: what to do with it is the merchant's policy, not the report's.
        The caller checks `mismatch` first.
        """
        status = _STATUS_OF_OUTCOME.get(report.outcome)
        if status is PaymentStatus.SUCCEEDED and self.is_paid:
            return self
        if status is PaymentStatus.SUCCEEDED:
            return self._capture(report)
        if status is None or status not in TRANSITIONS[self.status]:
            return self
        return self.model_copy(
            update={
                "status": status,
                "raw_status": report.raw_status,
                "provider_reference": report.provider_reference or self.provider_reference,
                "failure": _failure(report) if status is PaymentStatus.FAILED else None,
            }
        )

    def accept_late(self) -> Self:
        """The late payment taken as paid, by policy or by an operator."""
        if not self.late or PaymentStatus.SUCCEEDED not in LATE_TRANSITIONS.get(
            self.status, frozenset()
        ):
            return self
        return self.model_copy(update={"status": PaymentStatus.SUCCEEDED, "failure": None})

    def resolve(self, action: ResolveAction, report: PaymentReport | None) -> Self:
        """The payment after an operator's resolution of a disputed report.

        `accept` takes what was paid as the payment; `refund` closes it and counts the money as
        captured, so that it can be given back; `close` closes it and counts nothing.
        """
        cleared = self.model_copy(update={"attention": None})
        closed = cleared.model_copy(update={"status": PaymentStatus.CLOSED})
        if self.status is not PaymentStatus.PENDING or action is ResolveAction.ASK_AGAIN:
            return cleared
        if action is ResolveAction.CLOSE:
            return closed if report is None else closed._judged(report)  # noqa: SLF001 - see below
        if report is None:
            # The dispute was settled while the decision was on its way: nothing to take or give.
            return cleared
        found = closed if action is ResolveAction.REFUND else cleared
        return found._capture(report)  # noqa: SLF001 - the same class

    def _judged(self, report: PaymentReport) -> Self:
        """The trade that an operator closed the payment over: its repeats are decided on."""
        reference = report.provider_reference or self.provider_reference
        return self.model_copy(
            update={"raw_status": CLOSED_BY_OPERATOR, "provider_reference": reference}
        )

    def _capture(self, report: PaymentReport) -> Self:
        on_time = self.status is PaymentStatus.PENDING
        return self.model_copy(
            update=_told_by_store(report.purchase)
            | {
                "status": PaymentStatus.SUCCEEDED if on_time else self.status,
                "late": not on_time,
                "captured": self._captured_by(report),
                "purchase": report.purchase,
                "raw_status": report.raw_status,
                "provider_reference": report.provider_reference or self.provider_reference,
                "paid_at": report.paid_at,
            }
        )

    def _captured_by(self, report: PaymentReport) -> int:
        if self.product_id is None:
            return report.amount or 0
        if report.purchase is None:
            return self.amount
        return report.purchase.charged(self.amount, self.currency, self.quantity)


def _told_by_store(purchase: Purchase | None) -> dict[str, object]:
    if purchase is None:
        return {}
    return {
        "test": purchase.test,
        "store_price": purchase.price,
        "store_currency": purchase.currency,
        "offer": purchase.offer,
    }


def _failure(report: PaymentReport) -> Failure:
    return Failure(
        code="provider_rejected",
        message=report.message or f"The provider reports {report.raw_status}.",
        provider_code=report.code or report.raw_status,
        provider_message=report.message,
    )
