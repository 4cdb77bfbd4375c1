"""What operators list runs by. In clear at Temporal: nothing personal, nothing secret."""

from typing import Any

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from domain.payment import Payment
from domain.refund import Refund
from domain.report import Attention

STATUS = SearchAttributeKey.for_keyword("PaymentStatus")
PROVIDER = SearchAttributeKey.for_keyword("PaymentProvider")
CHANNEL = SearchAttributeKey.for_keyword("PaymentChannel")
MERCHANT = SearchAttributeKey.for_keyword("MerchantId")
ORDER_NO = SearchAttributeKey.for_keyword("OrderNo")
AMOUNT = SearchAttributeKey.for_int("Amount")
CURRENCY = SearchAttributeKey.for_keyword("Currency")
ATTENTION = SearchAttributeKey.for_keyword("Attention")

ALL: tuple[SearchAttributeKey[Any], ...] = (
    STATUS,
    PROVIDER,
    CHANNEL,
    MERCHANT,
    ORDER_NO,
    AMOUNT,
    CURRENCY,
    ATTENTION,
)


def for_payment(payment: Payment) -> TypedSearchAttributes:
    """Set at start, where they cost no event."""
    return TypedSearchAttributes(
        [
            *_order(payment),
            SearchAttributePair(STATUS, payment.status),
            SearchAttributePair(AMOUNT, payment.amount),
        ]
    )


def for_refund(refund: Refund, payment: Payment) -> TypedSearchAttributes:
    """A refund is found by the order it belongs to; status and amount are the refund's own."""
    return TypedSearchAttributes(
        [
            *_order(payment),
            SearchAttributePair(STATUS, refund.status),
            SearchAttributePair(AMOUNT, refund.amount),
        ]
    )


def for_store(payment: Payment) -> TypedSearchAttributes:
    """A store's words are found by the order that they are about."""
    return TypedSearchAttributes(_order(payment))


def _order(payment: Payment) -> list[SearchAttributePair[Any]]:
    return [
        SearchAttributePair(PROVIDER, payment.provider),
        SearchAttributePair(CHANNEL, payment.channel),
        SearchAttributePair(MERCHANT, payment.merchant_id),
        SearchAttributePair(ORDER_NO, payment.order_no),
        SearchAttributePair(CURRENCY, payment.currency),
    ]


def attention_update(attention: Attention | None) -> Any:
    """The change that shows, or clears, that a person must look."""
    return ATTENTION.value_unset() if attention is None else ATTENTION.value_set(attention)
