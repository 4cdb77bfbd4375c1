"""Payments of products, and what a store says of them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from domain.payment import Channel, Payment, PaymentStatus
from domain.product import ProductType
from domain.purchase import Purchase
from domain.report import PaymentReport
from domain.store_change import Change, StoreChange
from storage.payments import PaymentStore
from tests.storage.making import NewPayment

BOUGHT = datetime(2026, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
MONTH = timedelta(days=30)


def sold(new_payment: NewPayment, **changes: Any) -> Payment:
    """A pending payment of a product."""
    usual: dict[str, Any] = {
        "provider": "apple_iap",
        "channel": Channel.IAP,
        "product_id": "com.shop.monthly",
        "amount": 1800,
    }
    return new_payment(**usual | changes)


def purchase(payment_id: UUID | None, chain: str | None = None, **changes: Any) -> Purchase:
    """The first purchase of a chain of its own."""
    number = chain or uuid4().hex
    made = Purchase(
        provider="apple_iap",
        account="main",
        app="com.shop/Production",
        transaction_id=number,
        original_transaction_id=number,
        product_id="com.shop.monthly",
        product_type=ProductType.SUBSCRIPTION,
        token=payment_id,
        purchased_at=BOUGHT,
        signed_at=BOUGHT,
        expires_at=BOUGHT + MONTH,
        price=2_990,
        currency="USD",
        storefront="USA",
    )
    return made.model_copy(update=changes)


def renewal(first: Purchase, period: int = 1) -> Purchase:
    """A later period of the chain."""
    begins = BOUGHT + period * MONTH
    return first.model_copy(
        update={
            "transaction_id": f"{first.transaction_id}-{period}",
            "purchased_at": begins,
            "signed_at": begins,
            "expires_at": begins + MONTH,
            "renewal": True,
        }
    )


def word(change: Change, found: Purchase, *, after: timedelta = DAY, **changes: Any) -> StoreChange:
    """A word on the purchase, signed so long after it was made."""
    at = found.purchased_at + after
    snapshot = found.model_copy(update={"signed_at": at, **changes})
    return StoreChange(purchase=snapshot, change=change, raw_type=change.upper(), signed_at=at)


def refunded(found: Purchase, *, after: timedelta = DAY, share: int | None = None) -> StoreChange:
    """The store gave the money back."""
    at = found.purchased_at + after
    return word(Change.REFUNDED, found, after=after, revoked_at=at, revoked_share=share)


def paid_by(payment: Payment, found: Purchase) -> Payment:
    """The payment after the store said that the purchase was made."""
    return payment.apply(PaymentReport.of_purchase(payment.reference, found, "SUBSCRIBED"))


def paid_late_by(payment: Payment, found: Purchase) -> Payment:
    """The closed payment after the purchase was made nevertheless."""
    closed = payment.model_copy(update={"status": PaymentStatus.CLOSED})
    return paid_by(closed, found)


async def stored(payments: PaymentStore, payment: Payment) -> Payment:
    """The payment as our books have it."""
    found = await payments.get(payment.id)
    assert found is not None
    return found
