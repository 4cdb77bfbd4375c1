"""Refunds whose answers are lost, wrong or forged: each gives its money back once."""

import asyncio
from typing import Any

import pytest

from tests.stack.books import books_agree
from tests.stack.shop import JSON, PROVIDERS, Order, Shop
from tests.stack.test_faulty_calls import UNKNOWN

pytestmark = pytest.mark.stack

PART = 400


def _change(params: JSON) -> JSON:
    return {"operation": "refund", "kind": "fund_change_n", "params": params}


def _status(params: JSON) -> JSON:
    return {"operation": "refund", "kind": "refund_status", "params": params}


SLOWLY = {"status": "PROCESSING", "then": "SUCCESS", "seconds": 40}
LOST = {"operation": "refund", "kind": "lost_answer"}
NOT_SEEN = {"operation": "refund_query", "kind": "empty_refund_query", "times": 2}
# What ends well by itself: the provider, and its faults.
SLOW: list[Any] = [
    ("alipay", _change({})),
    ("alipay", _change({"executed": False})),
    ("alipay", _status(SLOWLY)),
    ("alipay", _status(SLOWLY | {"then": "FAIL"})),
    ("alipay", _status({"status": "FAIL"})),
    ("alipay", LOST, NOT_SEEN),
    ("wechatpay", _status({"status": "SUCCESS"})),
    ("wechatpay", _status(SLOWLY)),
    ("wechatpay", LOST, NOT_SEEN),
    ("unionpay", _status({"status": "SUCCESS"})),
    ("unionpay", _status(SLOWLY)),
    ("unionpay", LOST, NOT_SEEN),
]


async def paid(order: Order) -> Order:
    await order.create()
    await order.pay()
    await order.shows(status="succeeded")
    return order


async def given_back_once(*orders: Order) -> None:
    """The part went back once, and the rest can still follow."""
    for order in orders:
        await order.shows(refunded=PART, refund_reserved=0, attention=None)
    await asyncio.gather(*(order.refund(order.amount - PART, "rest") for order in orders))
    for order in orders:
        await order.shows(refunded=order.amount)
        await order.told("payment.succeeded", "refund.succeeded", "refund.succeeded")
        moves = [("capture", order.amount), ("refund", PART), ("refund", order.amount - PART)]
        assert await order.moves() == moves
    await books_agree(orders[0].shop)


@pytest.mark.parametrize(("kind", "params"), UNKNOWN)
async def test_a_refund_whose_answer_is_unknown_gives_back_once(
    shop: Shop, kind: str, params: dict[str, Any]
) -> None:
    orders = await asyncio.gather(*(paid(shop.order(provider)) for provider in PROVIDERS))
    for order in orders:
        await order.fault("refund", kind, params)

    await asyncio.gather(*(order.refund(PART) for order in orders))

    await given_back_once(*orders)


async def test_a_refund_that_takes_its_time_or_cannot_be_seen_gives_back_once(shop: Shop) -> None:
    orders = await asyncio.gather(*(paid(shop.order(provider)) for provider, *_ in SLOW))
    for order, (_, *faults) in zip(orders, SLOW, strict=True):
        for fault in faults:
            await order.fault(**fault)

    await asyncio.gather(*(order.refund(PART) for order in orders))

    await given_back_once(*orders)


async def test_an_abnormal_refund_calls_an_operator_and_succeeds_later(
    shop: Shop,
) -> None:
    order = await paid(shop.order("wechatpay"))
    await order.fault("refund", "refund_status", {"status": "ABNORMAL"})

    await order.refund(PART)
    await order.refund_shows(status="pending", attention="refund_abnormal")
    await order.told("payment.succeeded", "payment.attention")
    assert (await order.read())["refund_reserved"] == PART, "the money stays set aside"
    await shop.control(
        "refunds/complete",
        provider=order.provider,
        refund_reference=order.refund_reference(),
        status="SUCCESS",
    )

    await order.refund_shows(status="succeeded", attention=None)
    await order.shows(refunded=PART, refund_reserved=0)
    await order.told("payment.succeeded", "payment.attention", "refund.succeeded")
    await books_agree(shop)


async def test_a_refund_that_the_provider_closes_fails_and_frees_its_money(shop: Shop) -> None:
    order = await paid(shop.order("wechatpay"))
    slowly = {"status": "PROCESSING", "then": "CLOSED", "seconds": 40}
    await order.fault("refund", "refund_status", slowly)

    await order.refund(PART)
    await order.refund_shows(status="failed")
    await order.refund(order.amount, "again")

    await order.shows(refunded=order.amount, refund_reserved=0)
    await order.told("payment.succeeded", "refund.failed", "refund.succeeded")
    assert await order.moves() == [("capture", order.amount), ("refund", order.amount)]
    await books_agree(shop)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_veto_gives_everything_back(shop: Shop, provider: str) -> None:
    await shop.answer_webhooks(200, {"decision": "refund", "reason": "sold out"}, times=1)
    order = await paid(shop.order(provider))

    await order.shows(refunded=order.amount)

    await order.refund_shows(cause="merchant_veto", reason="sold out")
    await order.told("payment.succeeded", "refund.succeeded")
    await books_agree(shop)
