"""A free trial is no money, whatever price and offer the store writes beside it.

Apple documents `price` as that of the product or of the offer, and says by `offerDiscountType`
alone that a period costs nothing.
"""

from typing import Any

import pytest

from domain.payment import Payment, PaymentStatus
from domain.purchase import Offer
from domain.report import PaymentReport
from providers.apple_iap.config import Environment
from providers.apple_iap.mapping import purchase
from providers.apple_iap.wire import Transaction
from tests.domain import making

MOMENT = 1_777_600_000_000
LIST_PRICE = 19_990


def sold(**told: Any) -> Payment:
    """A payment at 19.99 yuan, paid by a real subscription of which the store tells this."""
    waiting = making.payment(provider="apple_iap", product_id="com.shop.monthly")
    transaction = Transaction.model_validate(
        {
            "transactionId": "2",
            "originalTransactionId": "2",
            "bundleId": "com.shop",
            "productId": "com.shop.monthly",
            "type": "Auto-Renewable Subscription",
            "environment": "Production",
            "purchaseDate": MOMENT,
            "signedDate": MOMENT,
            "appAccountToken": str(waiting.id),
            **told,
        }
    )
    found = purchase(transaction, "main", Environment.PRODUCTION)
    report = PaymentReport.of_purchase(waiting.reference, found, "SUBSCRIBED")
    assert waiting.mismatch(report) is None
    return waiting.apply(report)


@pytest.mark.parametrize(
    "told",
    [
        {"price": LIST_PRICE, "currency": "CNY", "offerType": 1},
        {"price": LIST_PRICE, "currency": "CNY"},
        {"price": LIST_PRICE, "currency": "JPY", "offerType": 3},
        {"price": 0, "currency": "CNY", "offerType": 1},
        {"currency": "CNY"},
        {},
    ],
)
def test_a_free_trial_never_counts_as_money(told: dict[str, Any]) -> None:
    paid = sold(offerDiscountType="FREE_TRIAL", **told)

    assert (paid.status, paid.captured, paid.test) == (PaymentStatus.SUCCEEDED, 0, False)
    assert (paid.store_price, paid.offer is not None) == (0, True)
    # An operator is called for money that is not in `captured`: there is none.
    assert not paid.charged_elsewhere


@pytest.mark.parametrize("kind", ["PAY_AS_YOU_GO", "PAY_UP_FRONT", "ONE_TIME", "LATER_KIND"])
def test_an_offer_that_names_only_its_kind_never_counts_at_the_list_price(kind: str) -> None:
    assert sold(offerDiscountType=kind).captured == 0
    cheap = sold(offerDiscountType=kind, price=1000, currency="CNY")
    assert (cheap.captured, cheap.store_price, cheap.offer) == (100, 1000, Offer.OTHER)


def test_an_offers_own_kind_is_kept() -> None:
    found = sold(offerDiscountType="FREE_TRIAL", offerType=4, price=0, currency="CNY")
    assert found.offer is Offer.WIN_BACK


def test_a_usual_price_is_not_taken_for_an_offer() -> None:
    usual = sold(price=18_000, currency="CNY")
    assert (usual.captured, usual.offer) == (1800, None)
