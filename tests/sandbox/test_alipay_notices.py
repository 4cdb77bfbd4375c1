"""What the seller's address is told, and every way in which it can be lied to."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from cryptography.exceptions import InvalidSignature

from tests.sandbox.alipay_shop import AlipayShop
from tests.sandbox.conftest import Precreate
from tests.sandbox.rig import Rig

Paid = Callable[[], Awaitable[str]]


async def test_a_payment_is_notified_with_everything_that_a_seller_must_check(
    rig: Rig, shop: AlipayShop, precreate: Precreate, reference: str
) -> None:
    await precreate(passback_params="a%3D1%26b%3D2", body="第一本")
    await rig.control("pay", provider="alipay", reference=reference)
    form = await rig.receiver.form()
    shop.verify_form(form)
    assert form["app_id"] == shop.app["app_id"]
    assert form["seller_id"] == rig.manifest["alipay"]["seller_id"]
    assert (form["out_trade_no"], form["total_amount"]) == (reference, "20.00")
    assert form["trade_status"] == "TRADE_SUCCESS"
    assert form["notify_type"] == "trade_status_sync"
    assert form["passback_params"] == "a%3D1%26b%3D2"
    assert form["fund_bill_list"] == '[{"amount":"20.00","fundChannel":"ALIPAYACCOUNT"}]'
    assert "refund_fee" not in form


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, content=b"SUCCESS"),
        httpx.Response(200, content=b"\xef\xbb\xbfsuccess"),
        httpx.Response(200, content=b"success\n"),
        httpx.Response(200, json={"code": "success"}),
        httpx.Response(201, content=b"success"),
        httpx.Response(500, content=b"success"),
    ],
)
async def test_only_seven_bytes_acknowledge(
    rig: Rig, precreate: Precreate, reference: str, answer: httpx.Response
) -> None:
    rig.receiver.answers = [answer]
    await precreate()
    await rig.control("pay", provider="alipay", reference=reference)
    await rig.control("clock", scale=1e5)
    first, second = await rig.receiver.form(1), await rig.receiver.form(2)
    assert first["notify_id"] == second["notify_id"]
    told = await rig.until(
        "notifications", lambda seen: seen["deliveries"][0]["state"] == "accepted"
    )
    assert [attempt["accepted"] for attempt in told["attempts"]] == [False, True]


async def test_the_ladder_has_eight_rungs_in_about_a_day(
    rig: Rig, precreate: Precreate, reference: str
) -> None:
    rig.receiver.default = b"fail"
    await precreate()
    await rig.control("clock", scale=2e5)
    await rig.control("pay", provider="alipay", reference=reference)
    await rig.receiver.wait_for(8)
    told = await rig.until(
        "notifications", lambda seen: seen["deliveries"][0]["state"] == "exhausted"
    )
    assert len(told["attempts"]) == 8


@pytest.mark.parametrize("channel", ["page", "wap"])
async def test_a_browser_returns_with_signed_facts(
    rig: Rig, shop: AlipayShop, order: dict[str, Any], channel: str
) -> None:
    product = {"page": "FAST_INSTANT_TRADE_PAY", "wap": "QUICK_WAP_WAY"}[channel]
    params = shop.params(
        f"alipay.trade.{channel}.pay",
        order | {"product_code": product},
        return_url="http://shop.test/thanks?from=alipay",
    )
    cashier = (await shop.post(params)).headers["location"]
    response = await rig.client.post(f"{cashier}/pay")
    assert response.status_code == 303
    query = dict(parse_qsl(urlsplit(response.headers["location"]).query))
    assert query.pop("from") == "alipay"
    shop.verify_form(query)
    assert query["method"] == f"alipay.trade.{channel}.pay.return"
    assert "trade_status" not in query


async def send(rig: Rig, reference: str, fault: str | None = None, **params: Any) -> Any:
    body: dict[str, Any] = {"provider": "alipay", "reference": reference, "params": params}
    return await rig.control("notify", **body, **({"fault": fault} if fault else {}))


async def test_a_notification_can_be_sent_by_hand_with_its_answer(rig: Rig, paid: Paid) -> None:
    rig.receiver.answers = [httpx.Response(409, content=b"no")]
    answer = await send(rig, await paid())
    assert answer.pop("seconds") >= 0
    assert answer == {"status": 409, "body": "no", "accepted": False}


@pytest.mark.parametrize("fault", ["tamper_body", "foreign_key", "signtest", "unknown_serial"])
async def test_a_forgery_does_not_verify(
    rig: Rig, shop: AlipayShop, paid: Paid, fault: str
) -> None:
    await send(rig, await paid(), fault)
    form = await rig.receiver.form()
    with pytest.raises((InvalidSignature, ValueError)):
        shop.verify_form(form)


@pytest.mark.parametrize(
    ("fault", "params", "field", "value"),
    [
        ("wrong_amount", {}, "total_amount", "20.01"),
        ("wrong_amount", {"amount": 1}, "total_amount", "0.01"),
        ("foreign_app", {}, "app_id", "2021000000000001"),
        ("foreign_app", {}, "seller_id", "2088000000000001"),
    ],
)
async def test_a_mismatch_is_signed_correctly(
    *,
    rig: Rig,
    shop: AlipayShop,
    paid: Paid,
    fault: str,
    params: dict[str, Any],
    field: str,
    value: str,
) -> None:
    await send(rig, await paid(), fault, **params)
    form = await rig.receiver.form()
    shop.verify_form(form)
    assert form[field] == value


async def test_gbk_is_signed_over_gbk(rig: Rig, shop: AlipayShop, paid: Paid) -> None:
    await send(rig, await paid(), "gbk")
    request = (await rig.receiver.wait_for(1))[0]
    form = dict(parse_qsl(request.content.decode(), encoding="gbk", errors="strict"))
    assert form["charset"] == "GBK"
    assert form["subject"] == "两本书 {2}"
    shop.verify_form(form, "gbk")


@pytest.mark.parametrize(
    ("kind", "params", "arrivals"),
    [("lose", {}, 1), ("duplicate", {"times": 3}, 3), ("delay", {"seconds": 1}, 1)],
)
async def test_faults_on_the_way(
    *,
    rig: Rig,
    precreate: Precreate,
    reference: str,
    kind: str,
    params: dict[str, Any],
    arrivals: int,
) -> None:
    await precreate()
    await rig.control("clock", scale=1e4)
    await rig.control("faults", provider="alipay", operation="notify", kind=kind, params=params)
    await rig.control("pay", provider="alipay", reference=reference)
    told = await rig.until(
        "notifications", lambda seen: [d["state"] for d in seen["deliveries"]] == ["accepted"]
    )
    assert len(rig.receiver.requests) == arrivals
    assert told["attempts"][0]["fault"] == kind
    assert await rig.look("faults") == []


async def test_a_refund_can_overtake_its_payment(
    rig: Rig, shop: AlipayShop, precreate: Precreate, reference: str
) -> None:
    await precreate()
    await rig.control("faults", provider="alipay", operation="notify", kind="reorder")
    await rig.control("pay", provider="alipay", reference=reference)
    refund = {"out_trade_no": reference, "refund_amount": "1.00", "out_request_no": "r1"}
    await shop.call("alipay.trade.refund", refund)
    first, second = await rig.receiver.form(1), await rig.receiver.form(2)
    assert first["out_biz_no"] == "r1"
    assert "out_biz_no" not in second


async def test_without_an_address_nobody_is_notified(
    rig: Rig, shop: AlipayShop, order: dict[str, Any]
) -> None:
    await shop.call("alipay.trade.precreate", order)
    await rig.control("pay", provider="alipay", reference=order["out_trade_no"])
    assert (await rig.look("notifications"))["deliveries"] == []
    response = await rig.client.post(
        "/_sandbox/notify", json={"provider": "alipay", "reference": order["out_trade_no"]}
    )
    assert response.status_code == 409
