"""What only UnionPay can get wrong: codes of two levels, its certificates, its undo."""

import asyncio
import json
from typing import Any

import pytest

from tests.providers.unionpay.cut_over import skip_at_cut_over
from tests.stack.books import books_agree
from tests.stack.shop import JSON, Order, Shop
from tests.stack.test_faulty_calls import all_paid_once
from tests.stack.test_faulty_notifications import created, kept, succeeded_once
from tests.stack.test_faulty_refunds import PART, given_back_once, paid

pytestmark = pytest.mark.stack

Faults = list[tuple[str, JSON]]
SIGNERS = ["foreign_ca", "wrong_cn", "expired_certificate"]
NOT_BELIEVED: Faults = [(kind, {}) for kind in (*SIGNERS, "foreign_key")]
# Each may or may not have happened; 06 certainly has not.
UNCLEAR: Faults = [
    ("resp_code", {"code": code}) for code in ("01", "03", "04", "06", "34", "99", "A6")
]
UNCLEAR += [("late_answer", {"seconds": 5})]
# A refusal of what happened all the same.
DENIED: Faults = [("resp_code", {"code": "77", "executed": True})]
STATES: Faults = [
    ("orig_resp_code", {"code": code}) for code in ("01", "03", "04", "05", "34", "66", "A6")
]
QUESTIONS = ("resp_code", {"code": "37"}), ("resp_code", {"code": "03"})


def orders_of(shop: Shop, faults: Faults, channel: str = "qr") -> list[Order]:
    return [shop.order("unionpay", channel) for _ in faults]


async def spoil(operation: str, orders: list[Order], faults: Faults) -> None:
    for order, (kind, params) in zip(orders, faults, strict=True):
        await order.fault(operation, kind, params)


async def test_an_order_that_unionpay_is_not_clear_about_is_made_and_paid_once(shop: Shop) -> None:
    faults = NOT_BELIEVED + UNCLEAR
    scanned = orders_of(shop, faults)
    at_the_till = orders_of(shop, faults + DENIED, "barcode")
    await spoil("create", scanned, faults)
    await spoil("create", at_the_till, faults + DENIED)

    await asyncio.gather(*(order.create() for order in (*scanned, *at_the_till)))
    await asyncio.gather(*(order.pay() for order in scanned))

    await all_paid_once(*scanned, *at_the_till)


async def test_a_notification_is_believed_once_a_query_has_said_the_same(shop: Shop) -> None:
    faults = NOT_BELIEVED + STATES + [*QUESTIONS]
    orders = orders_of(shop, faults)
    await asyncio.gather(*(order.create() for order in orders))
    await spoil("query", orders, faults)

    await asyncio.gather(*(order.pay() for order in orders))

    await all_paid_once(*orders)


async def test_an_order_that_unionpay_rejects_fails_and_moves_no_money(shop: Shop) -> None:
    refused = [*orders_of(shop, UNCLEAR[:2]), shop.order("unionpay", "barcode")]
    codes: Faults = [("resp_code", {"code": code}) for code in ("31", "33", "30")]
    await spoil("create", refused, codes)
    at_the_till = [
        shop.order("unionpay", "barcode", code=code) for code in ("0004", "0005", "0006", "0009")
    ]

    await asyncio.gather(
        *(order.shop.api.post("/v1/payments", json=order.body) for order in refused)
    )
    await asyncio.gather(
        *(order.shop.api.post("/v1/payments", json=order.body) for order in at_the_till)
    )

    for order in (*refused, *at_the_till):
        await order.shows(status="failed", captured=0, attention=None)
        await order.told("payment.failed")
    assert not (await books_agree(shop)).ledger


async def test_a_payers_code_that_is_decided_later_or_unclearly_is_paid_once(shop: Shop) -> None:
    codes = ("0001", "0007", "0008", "0010")
    orders = [shop.order("unionpay", "barcode", code=code) for code in codes]

    await asyncio.gather(*(order.create() for order in orders))

    await all_paid_once(*orders)


@pytest.mark.parametrize("whole", [False, True], ids=["refund", "undo"])
async def test_money_that_unionpay_is_not_clear_about_goes_back_once(
    shop: Shop, *, whole: bool
) -> None:
    """A whole payment is undone on its settlement day, a part of it refunded."""
    if whole:
        skip_at_cut_over()
    faults = NOT_BELIEVED + UNCLEAR + DENIED
    faults += [("lost_answer", {}), ("system_error", {}), ("garbled", {}), ("rate_limited", {})]
    orders = await asyncio.gather(*(paid(order) for order in orders_of(shop, faults)))
    await spoil("cancel" if whole else "refund", orders, faults)

    await asyncio.gather(*(order.refund(order.amount if whole else PART) for order in orders))

    if not whole:
        return await given_back_once(*orders)
    for order in orders:
        await order.shows(refunded=order.amount, refund_reserved=0, attention=None)
        await order.told("payment.succeeded", "refund.succeeded")
        assert await order.moves() == [("capture", order.amount), ("refund", order.amount)]
    await books_agree(shop)
    return None


async def test_a_question_about_a_refund_that_says_nothing_is_queried_again(shop: Shop) -> None:
    faults = [*NOT_BELIEVED, *QUESTIONS]
    faults += [("orig_resp_code", {"code": code}) for code in ("03", "04", "05", "34", "A6")]
    orders = await asyncio.gather(*(paid(order) for order in orders_of(shop, faults)))
    await spoil("refund_query", orders, faults)
    for order in orders:
        await order.fault("refund", "lost_answer")

    await asyncio.gather(*(order.refund(PART) for order in orders))

    await given_back_once(*orders)


async def test_an_undo_that_is_rejected_becomes_a_refund(shop: Shop) -> None:
    skip_at_cut_over()
    order = await paid(shop.order("unionpay"))
    await order.fault("cancel", "resp_code", {"code": "35"})

    await order.refund(order.amount)

    await order.shows(refunded=order.amount, refund_reserved=0, attention=None)
    assert await order.moves() == [("capture", order.amount), ("refund", order.amount)]
    [made] = await shop.look("refunds", refund_reference=order.refund_reference())
    assert made["request"]["txnType"] == "04"
    await books_agree(shop)


@pytest.mark.parametrize("operation", ["refund", "cancel"])
@pytest.mark.parametrize(
    "params",
    [{"status": "FAILED"}, {"status": "PROCESSING", "then": "FAILED", "seconds": 40}],
    ids=["at_once", "later"],
)
async def test_money_that_unionpay_took_back_and_then_did_not_is_free_again(
    shop: Shop, operation: str, params: JSON
) -> None:
    """A synchronous 00 says accepted, never done."""
    if operation == "cancel":
        skip_at_cut_over()
    order = await paid(shop.order("unionpay"))
    await order.fault("cancel" if operation == "cancel" else "refund", "refund_status", params)

    await order.refund(order.amount if operation == "cancel" else PART)
    await order.refund_shows(status="failed")
    await order.refund(order.amount, "again")

    await order.shows(refunded=order.amount, refund_reserved=0, attention=None)
    await order.told("payment.succeeded", "refund.failed", "refund.succeeded")
    assert await order.moves() == [("capture", order.amount), ("refund", order.amount)]
    await books_agree(shop)


@pytest.mark.parametrize("kind", SIGNERS)
async def test_a_notification_under_another_certificate_is_rejected(shop: Shop, kind: str) -> None:
    order = await created(shop.order("unionpay"), notify=False)

    assert not (await order.notify(fault=kind))["accepted"]

    assert await kept(order) == [], "what is not believed is not kept"
    assert (await order.read())["status"] == "pending"
    assert (await order.notify())["accepted"]
    await succeeded_once(order)


@pytest.mark.parametrize("code", ["A6", "01", "64"])
async def test_whatever_a_notification_says_the_query_decides(shop: Shop, code: str) -> None:
    order = await created(shop.order("unionpay"))
    await order.fault("notify", "resp_code", {"code": code})

    await order.pay()

    await succeeded_once(order)


async def test_a_declined_card_and_a_new_certificate_cost_no_payment(shop: Shop) -> None:
    orders = [await created(shop.order("unionpay", account=name)) for name in ("main", "old")]
    for order in orders:
        named = {"provider": "unionpay", "reference": order.reference}
        await shop.control("decline", **named)
        assert (await order.sync())["status"] == "pending"
    await shop.control("keys/rotate", provider="unionpay")

    await asyncio.gather(*(order.pay() for order in orders))

    await all_paid_once(*orders)


@pytest.mark.parametrize(
    ("account", "channel"),
    [("main", "app"), ("old", "page"), ("sha256", "wap"), ("sm3", "qr")],
)
async def test_each_account_and_checkout_is_paid_as_the_payer_gets_it(
    shop: Shop, account: str, channel: str
) -> None:
    order = shop.order("unionpay", channel, account=account)
    checkout = (await order.create())["checkout"]

    await shop.control("pay", provider="unionpay", checkout=shown(checkout))

    await all_paid_once(order)
    await order.refund(order.amount)
    await order.shows(refunded=order.amount, refund_reserved=0, attention=None)
    await books_agree(shop)


def shown(checkout: JSON) -> Any:
    """What the payer's device gets."""
    if checkout["kind"] == "form":
        return json.dumps({"url": checkout["value"], "fields": checkout["parameters"]})
    return checkout["value"] or json.dumps(checkout["parameters"])
