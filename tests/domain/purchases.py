"""Purchases and a store's words for the domain's tests."""

from datetime import UTC, datetime, timedelta
from typing import Any

from domain.entitlement import Entitlement
from domain.payment import Channel, Payment
from domain.product import ProductType
from domain.purchase import Purchase
from domain.report import PaymentReport
from domain.store_change import Change, StoreChange
from tests.domain.making import PAYMENT_ID, payment

BOUGHT = datetime(2026, 5, 1, 12, 5, tzinfo=UTC)
MONTH = timedelta(days=30)
PRODUCT = "com.shop.monthly"


def sold(**changes: Any) -> Payment:
    """A payment of a product."""
    usual: dict[str, Any] = {
        "provider": "apple_iap",
        "channel": Channel.IAP,
        "product_id": PRODUCT,
    }
    return payment(**usual | changes)


def purchase(period: int = 0, **changes: Any) -> Purchase:
    """A period of a subscription, the first one by default."""
    begins = BOUGHT + period * MONTH
    made = Purchase(
        provider="apple_iap",
        account="main",
        app="com.shop/Production",
        transaction_id=f"T{period}",
        original_transaction_id="T0",
        product_id=PRODUCT,
        product_type=ProductType.SUBSCRIPTION,
        token=PAYMENT_ID,
        purchased_at=begins,
        signed_at=begins,
        expires_at=begins + MONTH,
        renewal=period > 0,
    )
    return made.model_copy(update=changes)


def word(
    change: Change, period: int = 0, *, after: timedelta = timedelta(0), **changes: Any
) -> StoreChange:
    """A word on a period, signed so long after it began."""
    more = {name: changes.pop(name) for name in ("auto_renews", "grace_until") if name in changes}
    found = purchase(period, **changes)
    at = found.purchased_at + after
    return StoreChange(
        purchase=found.model_copy(update={"signed_at": at}),
        change=change,
        raw_type=change.upper(),
        signed_at=at,
        **more,
    )


def opened(change: StoreChange | None = None) -> Entitlement:
    """The entitlement of the chain, by its first word."""
    first = change or word(Change.PURCHASED)
    assert first.purchase is not None
    return Entitlement.opened(sold(), first, first.purchase)


def bought(**changes: Any) -> PaymentReport:
    """The store's word that the payment is paid."""
    report = PaymentReport.of_purchase(PAYMENT_ID.hex, purchase(), "SUBSCRIBED")
    return report.model_copy(update=changes)
