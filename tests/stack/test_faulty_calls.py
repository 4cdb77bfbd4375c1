"""A provider whose answers are lost, wrong or forged: what it did is what our books say."""

import asyncio
from typing import Any

import pytest

from tests.stack.books import books_agree
from tests.stack.shop import PROVIDERS, Order, Shop

pytestmark = pytest.mark.stack

by_provider = pytest.mark.parametrize("provider", PROVIDERS)

# Whatever these are put on may have happened or not: the caller cannot know.
UNKNOWN: list[Any] = [
    pytest.param("lost_answer", {}, id="lost"),
    pytest.param("lost_answer", {"seconds": 30}, id="hanging"),
    pytest.param("server_error", {}, id="server_error"),
    pytest.param("server_error", {"executed": True}, id="server_error_executed"),
    pytest.param("system_error", {}, id="system_error"),
    pytest.param("rate_limited", {}, id="rate_limited"),
    pytest.param("rate_limited", {"executed": True}, id="rate_limited_executed"),
    pytest.param("unsigned", {}, id="unsigned"),
    pytest.param("bad_signature", {}, id="bad_signature"),
    pytest.param("signtest", {}, id="signtest"),
    pytest.param("garbled", {}, id="garbled"),
    pytest.param("delay", {"seconds": 5}, id="executed_late"),
]


@by_provider
@pytest.mark.parametrize(("kind", "params"), UNKNOWN)
async def test_an_order_whose_answer_is_unknown_is_made_and_paid_once(
    shop: Shop, provider: str, kind: str, params: dict[str, Any]
) -> None:
    scanned, at_the_till = orders = shop.order(provider), shop.order(provider, "barcode")
    await asyncio.gather(*(order.fault("create", kind, params) for order in orders))

    await asyncio.gather(*(order.create() for order in orders))
    await scanned.pay()

    await _all_paid_once(at_the_till, scanned)


@by_provider
@pytest.mark.parametrize("operation", ["create", "query"])
async def test_the_same_trouble_three_times_changes_nothing(
    shop: Shop, provider: str, operation: str
) -> None:
    orders = [shop.order(provider, "barcode") for _ in UNKNOWN]
    for order, case in zip(orders, UNKNOWN, strict=True):
        kind, params = case.values
        await order.fault("create", "lost_answer")
        await order.fault(operation, kind, {**params, "seconds": 0}, times=3)

    await asyncio.gather(*(order.create() for order in orders))

    await _all_paid_once(*orders)


@by_provider
async def test_a_question_whose_answer_cannot_be_believed_is_asked_again(
    shop: Shop, provider: str
) -> None:
    orders = [shop.order(provider) for _ in UNKNOWN]
    for order, case in zip(orders, UNKNOWN, strict=True):
        kind, params = case.values
        await order.create()
        await order.pay(notify=False)
        await order.fault("query", kind, {**params, "seconds": 0})

    await asyncio.gather(*(order.sync() for order in orders))

    await _all_paid_once(*orders)


@by_provider
async def test_a_close_whose_answer_cannot_be_believed_ends_closed(
    shop: Shop, provider: str
) -> None:
    orders = [shop.order(provider) for _ in UNKNOWN]
    for order, case in zip(orders, UNKNOWN, strict=True):
        kind, params = case.values
        await order.create()
        await shop.control("open", provider=provider, reference=order.reference)
        await order.fault("close", kind, {**params, "seconds": 0})

    await asyncio.gather(*(order.cancel() for order in orders))

    for order in orders:
        await order.shows(status="closed", captured=0)
        await order.told("payment.closed")
    books = await books_agree(shop)
    assert {order["status"] for order in books.orders} <= {"CLOSED", "TRADE_CLOSED"}
    assert not books.ledger


@by_provider
async def test_an_order_that_was_paid_in_silence_is_not_closed_but_succeeds(
    shop: Shop, provider: str
) -> None:
    order = shop.order(provider)
    await order.create()
    await order.pay(notify=False)
    await order.fault("close", "lost_answer")

    await order.cancel()

    await _all_paid_once(order)


@by_provider
async def test_a_password_typed_late_is_still_a_payment(shop: Shop, provider: str) -> None:
    order = shop.order(provider, "barcode")
    await order.fault("create", "pending", {"then": "paid", "seconds": 40})

    assert (await order.create())["status"] == "pending"

    await _all_paid_once(order)


@by_provider
async def test_a_password_never_typed_right_fails_by_the_providers_word(
    shop: Shop, provider: str
) -> None:
    order = shop.order(provider, "barcode")
    await order.fault("create", "pending", {"then": "failed", "seconds": 40})
    # Alipay closes such a trade; only WeChat Pay has a word for a failed one.
    end = {"alipay": "closed", "wechatpay": "failed"}[provider]

    assert (await order.create())["status"] == "pending"

    await order.shows(status=end, captured=0)
    await order.told(f"payment.{end}")
    assert not (await books_agree(shop)).ledger


@by_provider
async def test_a_password_never_typed_is_called_off(shop: Shop, provider: str) -> None:
    order = shop.order(provider, "barcode")
    await order.fault("create", "pending", {"then": "pending"})
    await order.create()

    await order.cancel()

    await order.shows(status="closed", captured=0)
    await order.told("payment.closed")
    books = await books_agree(shop)
    assert not books.ledger
    assert [made["status"] for made in books.orders] in (["TRADE_CLOSED"], ["REVOKED"])


async def _all_paid_once(*orders: Order) -> None:
    for order in orders:
        await order.shows(status="succeeded", captured=order.amount, attention=None)
        await order.told("payment.succeeded")
        assert await order.moves() == [("capture", order.amount)]
    books = await books_agree(orders[0].shop)
    assert len(books.orders) == len(orders)
