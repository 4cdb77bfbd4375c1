"""When there is a trade, what may become of it, and who is told."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.sandbox.alipay_shop import BEIJING, AlipayShop
from tests.sandbox.conftest import NOTIFY_URL, Precreate
from tests.sandbox.rig import Rig

QUERY = "alipay.trade.query"
CLOSE = "alipay.trade.close"
PRECREATE = "alipay.trade.precreate"
CHECKOUTS = [
    ("alipay.trade.app.pay", "QUICK_MSECURITY_PAY"),
    ("alipay.trade.wap.pay", "QUICK_WAP_WAY"),
    ("alipay.trade.page.pay", "FAST_INSTANT_TRADE_PAY"),
]


async def status_of(shop: AlipayShop, reference: str) -> str:
    node = await shop.call(QUERY, {"out_trade_no": reference})
    return str(node.get("trade_status", node.get("sub_code")))


async def test_there_is_no_trade_before_the_payer_scans(
    rig: Rig, shop: AlipayShop, precreate: Precreate, reference: str
) -> None:
    qr_code = await precreate()
    assert await status_of(shop, reference) == "ACQ.TRADE_NOT_EXIST"
    closed = await shop.call(CLOSE, {"out_trade_no": reference})
    assert closed["sub_code"] == "ACQ.TRADE_NOT_EXIST"
    await rig.control("open", provider="alipay", checkout=qr_code)
    assert await status_of(shop, reference) == "WAIT_BUYER_PAY"


async def test_a_paid_trade_says_so_by_both_numbers(
    rig: Rig, shop: AlipayShop, paid: Callable[[], Awaitable[str]]
) -> None:
    first = await shop.call(QUERY, {"out_trade_no": await paid()})
    by_number = {"trade_no": first["trade_no"], "out_trade_no": "another"}
    second = await shop.call(QUERY, by_number | {"query_options": ["fund_bill_list"]})
    assert second["trade_status"] == "TRADE_SUCCESS"
    assert (second["total_amount"], second["receipt_amount"]) == ("20.00", "20.00")
    assert second["fund_bill_list"] == [{"amount": "20.00", "fund_channel": "ALIPAYACCOUNT"}]
    assert second["send_pay_date"]
    assert [move["amount"] for move in await rig.look("ledger")] == [2000]


@pytest.mark.parametrize(("method", "product"), CHECKOUTS)
async def test_a_signed_checkout_is_opened_and_paid_by_the_payers_phone(
    rig: Rig, shop: AlipayShop, order: dict[str, Any], method: str, product: str
) -> None:
    checkout = shop.order_string(method, order | {"product_code": product}, notify_url=NOTIFY_URL)
    if "app" not in method:
        checkout = f"{shop.gateway}?{checkout}"
    reference = order["out_trade_no"]
    await rig.control("pay", provider="alipay", reference=reference, checkout=checkout)
    assert await status_of(shop, reference) == "TRADE_SUCCESS"
    form = await rig.receiver.form()
    shop.verify_form(form)
    assert form["trade_status"] == "TRADE_SUCCESS"


async def test_a_changed_order_string_opens_nothing(
    rig: Rig, shop: AlipayShop, order: dict[str, Any]
) -> None:
    checkout = shop.order_string("alipay.trade.app.pay", order).replace("20.00", "00.01")
    response = await rig.client.post(
        "/_sandbox/pay", json={"provider": "alipay", "checkout": checkout}
    )
    assert response.status_code == 422
    assert "isv.invalid-signature" in response.text
    assert await rig.look("orders") == []


@pytest.mark.parametrize(("method", "product"), CHECKOUTS)
async def test_a_browser_is_sent_on_to_the_cashier(
    rig: Rig, shop: AlipayShop, order: dict[str, Any], method: str, product: str
) -> None:
    response = await shop.post(shop.params(method, order | {"product_code": product}))
    assert response.status_code == 302
    page = await rig.client.get(response.headers["location"])
    assert "两本书" in page.text
    assert await status_of(shop, order["out_trade_no"]) == "WAIT_BUYER_PAY"


async def test_a_browser_with_a_wrong_signature_reads_why(
    shop: AlipayShop, order: dict[str, Any]
) -> None:
    params = shop.params("alipay.trade.wap.pay", order) | {"sign": "AAAA"}
    response = await shop.post(params)
    assert "invalid-signature" in response.text
    assert "<html" in response.text


@pytest.mark.parametrize(
    ("before", "expected"),
    [("shown", "10000"), ("scanned", "10000"), ("paid", "HAS_SUCCESS"), ("closed", "HAS_CLOSE")],
)
async def test_the_same_order_again(
    rig: Rig, shop: AlipayShop, order: dict[str, Any], before: str, expected: str
) -> None:
    await shop.call(PRECREATE, order)
    content = {"provider": "alipay", "reference": order["out_trade_no"], "notify": False}
    if before != "shown":
        await rig.control("open", **content)
    if before == "paid":
        await rig.control("pay", **content)
    if before == "closed":
        await shop.call(CLOSE, order)
    again = await shop.call(PRECREATE, order)
    assert expected in (again["code"], again.get("sub_code", "").removeprefix("ACQ.TRADE_"))
    assert len(await rig.look("orders")) == 1


@pytest.mark.parametrize("change", [{"total_amount": "20.01"}, {"subject": "三本书"}])
async def test_the_same_number_for_another_order_is_rejected(
    rig: Rig, shop: AlipayShop, order: dict[str, Any], change: dict[str, str]
) -> None:
    await shop.call(PRECREATE, order)
    await rig.control("open", provider="alipay", reference=order["out_trade_no"])
    again = await shop.call(PRECREATE, order | change)
    assert again["sub_code"] == "ACQ.CONTEXT_INCONSISTENT"


@pytest.mark.parametrize(
    "change",
    [
        {"total_amount": "0"},
        {"total_amount": "0.001"},
        {"total_amount": "-1"},
        {"total_amount": "1e3"},
        {"total_amount": "100000000.01"},
        {"total_amount": True},
        {"total_amount": None},
        {"out_trade_no": ""},
        {"out_trade_no": "a-b"},
        {"out_trade_no": "x" * 65},
        {"subject": ""},
        {"subject": "x" * 257},
        {"product_code": "FAST_INSTANT_TRADE_PAY"},
        {"timeout_express": "5"},
        {"timeout_express": "16d"},
        {"time_expire": "2020-01-01 00:00:00"},
    ],
)
async def test_an_order_outside_the_rules_is_rejected(
    shop: AlipayShop, order: dict[str, Any], change: dict[str, Any]
) -> None:
    node = await shop.call(PRECREATE, order | change)
    assert (node["code"], node["sub_code"]) == ("40004", "ACQ.INVALID_PARAMETER")


async def test_another_sellers_id_is_rejected(shop: AlipayShop, order: dict[str, Any]) -> None:
    node = await shop.call(PRECREATE, order | {"seller_id": "2088000000000001"})
    assert node["sub_code"] == "ACQ.PARTNER_ERROR"


@pytest.mark.parametrize("amount", ["20", "20.0", "20.00", 20])
async def test_a_sum_may_be_written_in_several_ways(
    rig: Rig, shop: AlipayShop, order: dict[str, Any], amount: Any
) -> None:
    await shop.call(PRECREATE, order | {"total_amount": amount})
    assert [kept["amount"] for kept in await rig.look("orders")] == [2000]


async def test_a_created_trade_exists_at_once(shop: AlipayShop, order: dict[str, Any]) -> None:
    node = await shop.call("alipay.trade.create", order | {"buyer_id": "2088102146225135"})
    assert len(node["trade_no"]) == 28
    assert await status_of(shop, order["out_trade_no"]) == "WAIT_BUYER_PAY"
    other = await shop.call("alipay.trade.create", order | {"buyer_id": "2088102146225136"})
    assert other["sub_code"] == "ACQ.TRADE_BUYER_NOT_MATCH"


async def test_a_buyer_named_by_open_id_is_answered_and_notified_by_open_id(
    rig: Rig, shop: AlipayShop, order: dict[str, Any]
) -> None:
    buyer = {"buyer_open_id": "074a1CcTG1LelxKe4xQC0zgNdId0nxi95b5lsNpazWYoCo5"}
    reference = {"out_trade_no": order["out_trade_no"]}
    await shop.call("alipay.trade.create", order | buyer, notify_url=NOTIFY_URL)
    await rig.control("pay", provider="alipay", reference=order["out_trade_no"])
    told = await rig.receiver.form()
    query = await shop.call("alipay.trade.query", reference)
    refund = await shop.call("alipay.trade.refund", reference | {"refund_amount": "20.00"})
    for seen in (told, query, refund):
        assert seen["buyer_open_id"] == buyer["buyer_open_id"]
        assert not {"buyer_id", "buyer_user_id"} & seen.keys()


async def test_a_created_trade_needs_its_buyer(shop: AlipayShop, order: dict[str, Any]) -> None:
    node = await shop.call("alipay.trade.create", order)
    assert node["sub_code"] == "ACQ.INVALID_PARAMETER"


async def test_nobody_pays_a_closed_trade(
    rig: Rig, shop: AlipayShop, precreate: Precreate, reference: str
) -> None:
    await precreate()
    await rig.control("open", provider="alipay", reference=reference)
    assert (await shop.call(CLOSE, {"out_trade_no": reference}))["code"] == "10000"
    body = {"provider": "alipay", "reference": reference}
    assert (await rig.client.post("/_sandbox/pay", json=body)).status_code == 409
    assert await status_of(shop, reference) == "TRADE_CLOSED"
    assert await rig.look("ledger") == []


async def test_a_paid_trade_cannot_be_closed(
    shop: AlipayShop, paid: Callable[[], Awaitable[str]]
) -> None:
    node = await shop.call(CLOSE, {"out_trade_no": await paid()})
    assert node["sub_code"] == "ACQ.REASON_TRADE_STATUS_INVALID"


async def test_a_trade_that_waits_too_long_is_closed_and_an_app_is_notified(
    rig: Rig, shop: AlipayShop, order: dict[str, Any]
) -> None:
    content = order | {"timeout_express": "1m"}
    checkout = shop.order_string("alipay.trade.app.pay", content, notify_url=NOTIFY_URL)
    await rig.control("open", provider="alipay", checkout=checkout)
    await rig.control("clock", scale=6000)
    form = await rig.receiver.form()
    assert form["trade_status"] == "TRADE_CLOSED"
    assert await status_of(shop, order["out_trade_no"]) == "TRADE_CLOSED"


async def test_an_order_string_past_its_time_cannot_be_opened(
    rig: Rig, shop: AlipayShop, order: dict[str, Any]
) -> None:
    soon = datetime.now(BEIJING) + timedelta(minutes=5)
    content = order | {"time_expire": f"{soon:%Y-%m-%d %H:%M:%S}"}
    checkout = shop.order_string("alipay.trade.app.pay", content)
    await rig.control("clock", offset_seconds=600)
    response = await rig.client.post(
        "/_sandbox/pay", json={"provider": "alipay", "checkout": checkout}
    )
    assert response.status_code == 409
    assert "expired" in response.text


async def test_the_refund_window_ends(
    rig: Rig, shop: AlipayShop, paid: Callable[[], Awaitable[str]]
) -> None:
    reference = await paid()
    await rig.control("clock", scale=1e12)
    assert await status_of(shop, reference) == "TRADE_FINISHED"
    refund = {"out_trade_no": reference, "refund_amount": "1.00", "out_request_no": "r"}
    node = await shop.call("alipay.trade.refund", refund)
    assert node["sub_code"] == "ACQ.TRADE_HAS_FINISHED"


async def test_cancel_of_nothing_does_nothing(shop: AlipayShop, reference: str) -> None:
    node = await shop.call("alipay.trade.cancel", {"out_trade_no": reference})
    assert (node["code"], node["retry_flag"]) == ("10000", "N")
    assert "action" not in node
    assert "trade_no" not in node


async def test_cancel_gives_a_paid_trade_back_once(
    rig: Rig, shop: AlipayShop, paid: Callable[[], Awaitable[str]]
) -> None:
    reference = await paid()
    nodes = [await shop.call("alipay.trade.cancel", {"out_trade_no": reference}) for _ in range(2)]
    assert [node["action"] for node in nodes] == ["refund", "refund"]
    assert await status_of(shop, reference) == "TRADE_CLOSED"
    moves = [(move["kind"], move["amount"]) for move in await rig.look("ledger")]
    assert moves == [("capture", 2000), ("refund", 2000)]


async def test_cancel_closes_an_unpaid_trade(
    rig: Rig, shop: AlipayShop, precreate: Precreate, reference: str
) -> None:
    await precreate()
    await rig.control("open", provider="alipay", reference=reference)
    node = await shop.call("alipay.trade.cancel", {"out_trade_no": reference})
    assert node["action"] == "close"
    assert await status_of(shop, reference) == "TRADE_CLOSED"
