"""A provider whose answers are lost, wrong or forged: what it did is what our books say."""

import asyncio
from typing import Any

import pytest

from tests.stack.books import books_agree
from tests.stack.shop import CLOSABLE, PROVIDERS, Order, Shop

pytestmark = pytest.mark.stack

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
# Each kind once, for tests that put all of them on many orders at a time.
KINDS = ["lost_answer", "server_error", "system_error", "rate_limited", "unsigned"]
KINDS += ["bad_signature", "signtest", "garbled"]


@pytest.mark.parametrize(("kind", "params"), UNKNOWN)
async def test_an_order_whose_answer_is_unknown_is_made_and_paid_once(
    shop: Shop, kind: str, params: dict[str, Any]
) -> None:
    scanned = [shop.order(provider) for provider in PROVIDERS]
    at_the_till = [shop.order(provider, "barcode") for provider in PROVIDERS]
    for order in (*scanned, *at_the_till):
        await order.fault("create", kind, params)

    await asyncio.gather(*(order.create() for order in (*scanned, *at_the_till)))
    await asyncio.gather(*(order.pay() for order in scanned))

    await all_paid_once(*at_the_till, *scanned)


@pytest.mark.parametrize("operation", ["create", "query"])
async def test_the_same_trouble_three_times_changes_nothing(shop: Shop, operation: str) -> None:
    orders = [shop.order(provider, "barcode") for provider in PROVIDERS for _ in KINDS]
    for order, kind in zip(orders, KINDS * len(PROVIDERS), strict=True):
        if operation == "query":
            await order.fault("create", "lost_answer")
        await order.fault(operation, kind, times=3)

    await asyncio.gather(*(order.create() for order in orders))

    await all_paid_once(*orders)


async def test_a_question_whose_answer_cannot_be_believed_is_queried_again(shop: Shop) -> None:
    orders = [shop.order(provider) for provider in PROVIDERS for _ in KINDS]
    for order, kind in zip(orders, KINDS * len(PROVIDERS), strict=True):
        await order.create()
        await order.pay(notify=False)
        await order.fault("query", kind)

    await asyncio.gather(*(order.sync() for order in orders))

    await all_paid_once(*orders)


async def test_a_close_whose_answer_cannot_be_believed_ends_closed(shop: Shop) -> None:
    orders = [shop.order(provider) for provider in CLOSABLE for _ in KINDS]
    for order, kind in zip(orders, KINDS * len(CLOSABLE), strict=True):
        await order.create()
        await shop.control("open", provider=order.provider, reference=order.reference)
        await order.fault("close", kind)

    await asyncio.gather(*(order.cancel() for order in orders))

    for order in orders:
        await order.shows(status="closed", captured=0)
        await order.told("payment.closed")
    books = await books_agree(shop)
    assert {order["status"] for order in books.orders} == {"CLOSED", "TRADE_CLOSED"}
    assert not books.ledger


async def test_an_order_that_was_paid_in_no_answer_is_not_closed_but_succeeds(shop: Shop) -> None:
    orders = [shop.order(provider) for provider in PROVIDERS]
    for order in orders:
        await order.create()
        await order.pay(notify=False)
        await order.fault("close", "lost_answer")

    await asyncio.gather(*(order.cancel() for order in orders))

    await all_paid_once(*orders)


async def test_a_password_typed_late_is_still_a_payment(shop: Shop) -> None:
    orders = [shop.order(provider, "barcode") for provider in PROVIDERS]
    for order in orders:
        await order.fault("create", "pending", {"then": "paid", "seconds": 40})

        assert (await order.create())["status"] == "pending"

    await all_paid_once(*orders)


async def test_a_password_never_typed_right_ends_by_the_providers_report(shop: Shop) -> None:
    # Alipay closes such a trade; the others have a word for a failed one.
    ends = {"alipay": "closed", "wechatpay": "failed", "unionpay": "failed"}
    orders = [shop.order(provider, "barcode") for provider in ends]
    for order in orders:
        await order.fault("create", "pending", {"then": "failed", "seconds": 40})

        assert (await order.create())["status"] == "pending"

    for order in orders:
        await order.shows(status=ends[order.provider], captured=0)
        await order.told(f"payment.{ends[order.provider]}")
    assert not (await books_agree(shop)).ledger


async def test_a_password_never_typed_is_called_off(shop: Shop) -> None:
    orders = [shop.order(provider, "barcode") for provider in CLOSABLE]
    for order in orders:
        await order.fault("create", "pending", {"then": "pending"})
        await order.create()

    await asyncio.gather(*(order.cancel() for order in orders))

    for order in orders:
        await order.shows(status="closed", captured=0)
        await order.told("payment.closed")
    books = await books_agree(shop)
    assert not books.ledger
    assert {made["status"] for made in books.orders} == {"TRADE_CLOSED", "REVOKED"}


async def all_paid_once(*orders: Order) -> None:
    for order in orders:
        await order.shows(status="succeeded", captured=order.amount, attention=None)
        await order.told("payment.succeeded")
        assert await order.moves() == [("capture", order.amount)]
    books = await books_agree(orders[0].shop)
    assert len(books.orders) == len(orders)
