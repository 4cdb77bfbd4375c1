"""A refund that the account stands in the way of: it waits, an operator is called, it is paid."""

import asyncio
from typing import Any

import pytest

from tests.stack.books import books_agree
from tests.stack.shop import Order, Shop

pytestmark = pytest.mark.stack

PART = 400
# What each provider says where the merchant's balance is too low, and where a permission is gone.
BLOCKED: list[tuple[str, str, dict[str, Any]]] = [
    ("alipay", "error_code", {"sub_code": "ACQ.SELLER_BALANCE_NOT_ENOUGH"}),
    (
        "alipay",
        "error_code",
        {"code": "40006", "sub_code": "isv.insufficient-isv-permissions"},
    ),
    ("wechatpay", "error_code", {"code": "NOT_ENOUGH"}),
    ("wechatpay", "error_code", {"code": "NO_AUTH"}),
    ("unionpay", "resp_code", {"code": "90"}),
    ("unionpay", "resp_code", {"code": "43"}),
]


async def paid(order: Order) -> Order:
    await order.create()
    await order.pay()
    await order.shows(status="succeeded")
    return order


async def test_a_refund_without_balance_or_permission_is_paid_once_that_is_mended(
    shop: Shop,
) -> None:
    orders = await asyncio.gather(*(paid(shop.order(provider)) for provider, *_ in BLOCKED))
    for order, (_, kind, params) in zip(orders, BLOCKED, strict=True):
        await order.fault("refund", kind, params)

    await asyncio.gather(*(order.refund(PART) for order in orders))

    for order in orders:
        await order.told("payment.succeeded", "payment.attention", "refund.succeeded")
        await order.refund_shows(status="succeeded", attention=None)
        await order.shows(refunded=PART, refund_reserved=0)
        assert await order.moves() == [("capture", order.amount), ("refund", PART)]
    await books_agree(shop)


async def test_a_payer_debited_too_late_is_for_an_operator_and_no_failure(shop: Shop) -> None:
    order = shop.order("unionpay", "barcode")
    await order.fault("query", "orig_resp_code", {"code": "42"}, times=-1)
    await order.fault("create", "resp_code", {"code": "42"})

    # 202 where the answer comes before the code does, 200 or 201 elsewhere: all mean "made".
    answer = await shop.api.post("/v1/payments", json=order.body)
    assert answer.is_success, answer.text

    await order.shows(status="pending", attention="outcome_unknown")


async def test_a_trade_whose_buyer_pays_later_is_for_an_operator(shop: Shop) -> None:
    order = shop.order("alipay")
    await order.fault("create", "credit_pay_mode")
    await order.create()

    await order.pay()

    await order.shows(status="pending", attention="credit_payment")
