"""A payment of a product: held against the product, whatever the store's own price was."""

import pytest

from domain.identity import store_workflow_id
from domain.payment import PaymentStatus
from domain.product import Product, ProductType
from domain.refund import REVERSALS, RefundCause, RefundStatus
from domain.report import Attention, Outcome
from tests.domain.making import refund
from tests.domain.purchases import PRODUCT, bought, purchase, sold


def test_a_purchase_pays_the_list_price_whatever_the_store_asked() -> None:
    report = bought(amount=7, currency="JPY")
    assert sold().mismatch(report) is None
    paid = sold().apply(report)

    assert (paid.status, paid.captured) == (PaymentStatus.SUCCEEDED, 1999)
    assert paid.purchase == purchase()
    assert paid.provider_reference == "T0"


def test_a_purchase_that_is_not_described_counts_at_the_list_price() -> None:
    assert sold().apply(bought(purchase=None)).captured == sold().amount


@pytest.mark.parametrize(
    "changes", [{"product_id": "other"}, {"product_id": None}, {"quantity": 3}]
)
def test_another_product_or_number_does_not_pay(changes: dict[str, object]) -> None:
    assert sold().mismatch(bought(**changes)) is Attention.PRODUCT_MISMATCH


def test_a_report_that_says_no_number_is_not_held_against_it() -> None:
    assert sold().mismatch(bought(quantity=None)) is None


def test_only_money_is_held_against_the_product() -> None:
    assert sold().mismatch(bought(outcome=Outcome.NOT_FOUND, product_id=None)) is None


def test_only_a_stores_own_refund_is_taken_back() -> None:
    made = refund(status=RefundStatus.SUCCEEDED, cause=RefundCause.PROVIDER)
    reversed_now = made.reverse("REFUND_REVERSED")
    assert (reversed_now.status, reversed_now.raw_status) == (
        RefundStatus.REVERSED,
        "REFUND_REVERSED",
    )
    assert reversed_now.reverse("REFUND_REVERSED") is reversed_now
    for other in (refund(status=RefundStatus.SUCCEEDED), refund(cause=RefundCause.PROVIDER)):
        assert other.reverse("REFUND_REVERSED") is other
    assert set(REVERSALS) == {RefundStatus.SUCCEEDED}


def test_a_product_has_a_price() -> None:
    made = Product(id=PRODUCT, type=ProductType.SUBSCRIPTION, title="Monthly", amount=1800)
    assert (made.currency, made.grants) == ("CNY", "")


def test_a_chain_has_one_run() -> None:
    assert store_workflow_id("apple_iap", "main", "T0") == "store-apple_iap-main-T0"
