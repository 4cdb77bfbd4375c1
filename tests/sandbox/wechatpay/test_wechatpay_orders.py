"""Placing, asking for and closing an order, and everything that is refused."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from tests.sandbox.rig import Rig
from tests.sandbox.wechatpay.conftest import PLACE, REFUNDS, Place, Step
from tests.sandbox.wechatpay.shop import WechatpayShop

H5 = {"payer_client_ip": "10.0.0.1", "h5_info": {"type": "Wap"}}


@pytest.mark.parametrize(
    ("channel", "changes", "answer", "start"),
    [
        ("app", {}, "prepay_id", "wx"),
        ("jsapi", {"payer": {"openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}}, "prepay_id", "wx"),
        ("native", {}, "code_url", "weixin://wxpay/bizpayurl?pr="),
        ("h5", {"scene_info": H5}, "h5_url", "http://sandbox.test/cgi-bin/mmpayweb-bin/checkmweb?"),
    ],
)
async def test_every_channel_answers_with_its_checkout(
    place: Place, channel: str, changes: dict[str, Any], answer: str, start: str
) -> None:
    placed = await place(channel, **changes)
    assert list(placed) == [answer]
    assert placed[answer].startswith(start)


@pytest.mark.parametrize(
    ("channel", "changes", "field", "value"),
    [
        ("native", {"description": None}, "description", ""),
        ("native", {"description": "书" * 43}, "description", 129),
        ("native", {"out_trade_no": "short"}, "out_trade_no", 5),
        ("native", {"out_trade_no": "a" * 33}, "out_trade_no", 33),
        ("native", {"out_trade_no": "order.12"}, "out_trade_no", "order.12"),
        ("native", {"notify_url": None}, "notify_url", ""),
        (
            "native",
            {"notify_url": "https://shop.test/n?a=1"},
            "notify_url",
            "https://shop.test/n?a=1",
        ),
        ("native", {"amount": {"total": 0}}, "amount/total", 0),
        ("native", {"amount": {"total": 1.5}}, "amount/total", 1.5),
        ("native", {"amount": {"total": True}}, "amount/total", True),
        ("native", {"amount": {"total": 1, "currency": "USD"}}, "amount/currency", "USD"),
        ("native", {"amount": 2000}, "amount", 2000),
        ("native", {"amount": {"total": 10**30}}, "amount/total", 10**30),
        ("native", {"attach": "a" * 129}, "attach", 129),
        ("native", {"time_expire": "2035-01-01T00:00:00"}, "time_expire", "2035-01-01T00:00:00"),
        (
            "native",
            {"time_expire": "2035-01-01T00:00:00.Z"},
            "time_expire",
            "2035-01-01T00:00:00.Z",
        ),
        ("native", {"time_expire": "20350101T000000Z"}, "time_expire", "20350101T000000Z"),
        (
            "native",
            {"time_expire": "2035-13-01T00:00:00+08:00"},
            "time_expire",
            "2035-13-01T00:00:00+08:00",
        ),
        (
            "native",
            {"time_expire": "2020-01-01T00:00:00+08:00"},
            "time_expire",
            "2020-01-01T00:00:00+08:00",
        ),
        ("jsapi", {}, "payer", ""),
        ("jsapi", {"payer": {}}, "payer/openid", ""),
        ("h5", {}, "scene_info", ""),
        ("h5", {"scene_info": {"payer_client_ip": "1.2.3.4"}}, "scene_info/h5_info", ""),
        ("h5", {"scene_info": H5 | {"h5_info": {"type": "WAP"}}}, "scene_info/h5_info/type", "WAP"),
    ],
)
async def test_a_field_that_breaks_its_rule_is_named(
    *,
    shop: WechatpayShop,
    order: dict[str, Any],
    channel: str,
    changes: dict[str, Any],
    field: str,
    value: Any,
) -> None:
    response = await shop.send("POST", f"{PLACE}/{channel}", order | changes)
    assert response.status_code == 400
    assert response.json()["code"] == "PARAM_ERROR"
    assert f"/body/{field}" in response.json()["message"]
    assert response.json()["detail"]["value"] == value


async def test_the_merchant_in_the_body_must_be_the_one_who_signed(
    shop: WechatpayShop, key_shop: WechatpayShop, order: dict[str, Any]
) -> None:
    other = order | {"mchid": key_shop.merchant["mchid"]}
    response = await shop.send("POST", f"{PLACE}/native", other)
    assert (response.status_code, response.json()["code"]) == (400, "PARAM_ERROR")
    assert response.json()["message"] == "http header中的mchid与post payload中的mchid不匹配"


async def test_a_foreign_app_is_rejected(shop: WechatpayShop, order: dict[str, Any]) -> None:
    foreign = order | {"appid": "wx0000000000000000"}
    refusal = await shop.refusal("POST", f"{PLACE}/native", foreign)
    assert refusal == (400, "APPID_MCHID_NOT_MATCH")


async def test_an_identical_repeat_is_the_same_order(place: Place, rig: Rig) -> None:
    assert await place() == await place()
    assert len(await rig.look("orders")) == 1


async def test_a_repeat_for_h5_yields_a_fresh_link_to_the_same_prepay_id(place: Place) -> None:
    first, again = [(await place("h5", scene_info=H5))["h5_url"] for _ in range(2)]
    assert first != again
    assert first.split("&")[0] == again.split("&")[0]


async def test_a_repeat_with_other_content_is_rejected(
    shop: WechatpayShop, place: Place, order: dict[str, Any]
) -> None:
    await place()
    changed = order | {"amount": {"total": 2001, "currency": "CNY"}}
    assert await shop.refusal("POST", f"{PLACE}/native", changed) == (400, "INVALID_REQUEST")
    assert await shop.refusal("POST", f"{PLACE}/app", order) == (403, "OUT_TRADE_NO_USED")
    assert (await shop.state(order["out_trade_no"]))["amount"]["total"] == 2000


async def test_an_unpaid_order_has_no_transaction_id(
    shop: WechatpayShop, place: Place, reference: str
) -> None:
    await place()
    state = await shop.state(reference)
    assert (state["trade_state"], state["trade_state_desc"]) == ("NOTPAY", "订单未支付")
    assert not {"transaction_id", "success_time", "trade_type"} & set(state)


async def test_a_paid_order_is_found_by_both_numbers(
    shop: WechatpayShop, paid: Step, reference: str
) -> None:
    await paid()
    state = await shop.state(reference)
    assert (state["trade_state"], state["trade_type"]) == ("SUCCESS", "NATIVE")
    assert state["amount"] == {
        "currency": "CNY",
        "payer_currency": "CNY",
        "payer_total": 2000,
        "total": 2000,
    }
    assert state["success_time"].endswith("+08:00")
    path = f"{PLACE}/id/{state['transaction_id']}?mchid={shop.merchant['mchid']}"
    assert await shop.call("GET", path) == state


async def test_a_coupon_makes_the_payer_pay_less_than_the_total(
    shop: WechatpayShop, place: Place, rig: Rig, reference: str
) -> None:
    await place(goods_tag="WXG")
    await rig.control("pay", provider="wechatpay", reference=reference, notify=False)
    state = await shop.state(reference)
    assert (state["amount"]["total"], state["amount"]["payer_total"]) == (2000, 1999)
    assert state["promotion_detail"][0]["amount"] == 1
    refund = await shop.call(
        "POST",
        REFUNDS,
        {
            "out_trade_no": reference,
            "out_refund_no": "R1",
            "amount": {"refund": 2000, "total": 2000, "currency": "CNY"},
        },
    )
    amount = refund["amount"]
    assert (amount["refund"], amount["payer_refund"], amount["discount_refund"]) == (2000, 1999, 1)


async def test_another_merchants_order_does_not_exist(
    key_shop: WechatpayShop, paid: Step, reference: str
) -> None:
    await paid()
    mchid = key_shop.merchant["mchid"]
    target = f"{PLACE}/out-trade-no/{reference}?mchid={mchid}"
    assert await key_shop.refusal("GET", target) == (404, "ORDER_NOT_EXIST")


async def test_a_query_without_the_merchant_is_rejected(
    shop: WechatpayShop, place: Place, reference: str
) -> None:
    await place()
    target = f"{PLACE}/out-trade-no/{reference}"
    assert await shop.refusal("GET", target) == (400, "PARAM_ERROR")
    assert await shop.refusal("GET", f"{target}?mchid=1900009999") == (400, "PARAM_ERROR")


async def test_closing_answers_204_signed_over_an_empty_body(
    shop: WechatpayShop, place: Place, rig: Rig, reference: str
) -> None:
    await place()
    mchid = {"mchid": shop.merchant["mchid"]}
    response = await shop.send("POST", f"{PLACE}/out-trade-no/{reference}/close", mchid)
    assert (response.status_code, response.content) == (204, b"")
    assert shop.is_genuine(response.headers, b"")
    assert response.headers["Content-Type"] == "application/json"
    assert (await shop.state(reference))["trade_state"] == "CLOSED"
    pay = {"provider": "wechatpay", "reference": reference}
    assert (await rig.client.post("/_sandbox/pay", json=pay)).status_code == 409
    assert await rig.look("ledger") == []


async def test_a_finished_order_is_neither_closed_nor_placed_again(
    shop: WechatpayShop, place: Place, paid: Step, order: dict[str, Any], reference: str
) -> None:
    mchid = {"mchid": shop.merchant["mchid"]}
    close = f"{PLACE}/out-trade-no/{reference}/close"
    assert await shop.refusal("POST", close, mchid) == (404, "ORDER_NOT_EXIST")
    await paid()
    assert await shop.refusal("POST", close, mchid) == (400, "ORDERPAID")
    assert await shop.refusal("POST", f"{PLACE}/native", order) == (400, "ORDERPAID")
    other = order | {"out_trade_no": f"{reference[:-2]}xx"}
    await place(out_trade_no=other["out_trade_no"])
    close = f"{PLACE}/out-trade-no/{other['out_trade_no']}/close"
    await shop.call("POST", close, mchid)
    assert await shop.refusal("POST", close, mchid) == (400, "ORDER_CLOSED")
    assert await shop.refusal("POST", f"{PLACE}/native", other) == (400, "ORDER_CLOSED")


async def test_an_order_cannot_be_paid_twice(rig: Rig, paid: Step, reference: str) -> None:
    await paid()
    pay = {"provider": "wechatpay", "reference": reference}
    assert (await rig.client.post("/_sandbox/pay", json=pay)).status_code == 409
    assert [row["amount"] for row in await rig.look("ledger")] == [2000]


async def test_an_old_prepay_id_cannot_be_paid_and_a_repeat_renews_it(
    rig: Rig, shop: WechatpayShop, place: Place, reference: str
) -> None:
    first = await place("app")
    shop.ahead = 7201
    await rig.control("clock", offset_seconds=7201)
    pay = {"provider": "wechatpay", "reference": reference}
    assert (await rig.client.post("/_sandbox/pay", json=pay)).status_code == 409
    assert await place("app") != first
    await rig.control("pay", **pay)


async def test_nobody_pays_after_time_expire_but_the_order_stays_open(
    rig: Rig, shop: WechatpayShop, place: Place, reference: str
) -> None:
    expires = datetime.now(timezone(timedelta(hours=8))) + timedelta(minutes=15)
    await place(time_expire=expires.isoformat(timespec="seconds"))
    shop.ahead = 901
    await rig.control("clock", offset_seconds=901)
    pay = {"provider": "wechatpay", "reference": reference}
    assert (await rig.client.post("/_sandbox/pay", json=pay)).status_code == 409
    assert (await shop.state(reference))["trade_state"] == "NOTPAY"


@pytest.mark.parametrize(
    "ending", ["+08:00", "Z", "z", ".5+08:00", ".123Z", ".123456789-05:30", "-00:00"]
)
async def test_time_expire_takes_every_form_of_rfc_3339(
    rig: Rig, place: Place, reference: str, ending: str
) -> None:
    assert "code_url" in await place(time_expire=f"2035-01-01T00:00:00{ending}")
    order = (await rig.look("orders", provider="wechatpay", reference=reference))[0]
    hour = {"+": 16, ".5+": 16, ".123456789-": 5}.get(ending.rstrip("0123456789:"), 0)
    day = 31 if hour == 16 else 1
    assert datetime.fromisoformat(order["expires_at"]).astimezone(UTC).day == day


async def test_the_scanned_code_and_the_opened_link_lead_to_the_order(
    rig: Rig, place: Place, reference: str
) -> None:
    link = (await place("h5", scene_info=H5))["h5_url"]
    opened = await rig.client.get(link + "&redirect_url=https%3A%2F%2Fshop.test%2Fdone%3Fa%3D1")
    assert opened.headers["location"] == f"http://sandbox.test/cashier/wechatpay/{reference}"
    paid = await rig.control("pay", provider="wechatpay", checkout=link)
    assert (paid["status"], paid["return_url"]) == ("SUCCESS", "https://shop.test/done?a=1")


async def test_an_h5_link_lives_for_five_minutes(rig: Rig, place: Place) -> None:
    link = (await place("h5", scene_info=H5))["h5_url"]
    await rig.control("clock", offset_seconds=301)
    assert (await rig.client.get(link)).status_code == 410


async def test_the_phone_rejects_parameters_that_the_merchant_did_not_sign(
    rig: Rig, shop: WechatpayShop, place: Place
) -> None:
    prepay_id = (await place("app"))["prepay_id"]
    params = {
        "appid": shop.appid,
        "partnerid": shop.merchant["mchid"],
        "prepayid": prepay_id,
        "package": "Sign=WXPay",
        "noncestr": "n1",
        "timestamp": "1700000000",
        "sign": shop.sign(shop.appid, "1700000000", "n1", prepay_id),
    }
    for changes, status in (({"noncestr": "n2"}, 422), ({"timestamp": 1700000000}, 422), ({}, 200)):
        content = {"provider": "wechatpay", "checkout": json.dumps(params | changes)}
        assert (await rig.client.post("/_sandbox/pay", json=content)).status_code == status
