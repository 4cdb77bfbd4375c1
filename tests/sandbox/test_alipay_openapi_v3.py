"""OpenAPI v3: the same trades and the same rules as `gateway.do`, other messages."""

import json
from typing import Any

import httpx
import pytest
from cryptography.exceptions import InvalidSignature

from sandbox.alipay.certificates import serial_number
from tests.sandbox.alipay_shop import AlipayShop
from tests.sandbox.alipay_v3_shop import TILL, AlipayV3Shop, code_of
from tests.sandbox.conftest import NOTIFY_URL
from tests.sandbox.rig import Rig


async def test_a_payment_code_is_charged_and_refunded_in_parts_over_v3(
    rig: Rig, v3: AlipayV3Shop, order: dict[str, Any], reference: str
) -> None:
    status, paid = await v3.call("pay", order | TILL)
    assert (status, paid["total_amount"]) == (200, "20.00")
    assert not {"code", "msg", "sub_code", "sub_msg"} & paid.keys()
    part = {"out_trade_no": reference, "refund_amount": "7.50", "out_request_no": "r1"}
    answers = [(await v3.call("refund", part))[1]["fund_change"] for _ in range(2)]
    assert answers == ["Y", "N"]
    status, refused = await v3.call(
        "refund", part | {"refund_amount": "12.51", "out_request_no": "r2"}
    )
    assert (status, refused["code"]) == (400, "ACQ.REASON_TRADE_REFUND_FEE_ERR")
    assert refused["message"]
    rest = part | {"refund_amount": "12.50", "out_request_no": "r3"}
    assert (await v3.call("refund", rest))[1]["refund_fee"] == "20.00"
    assert await rig.moved("alipay", reference) == {"capture": [2000], "refund": [750, 1250]}


async def test_both_gateways_see_the_same_trade_and_refund(
    rig: Rig, shop: AlipayShop, v3: AlipayV3Shop, order: dict[str, Any], reference: str
) -> None:
    names = {"out_trade_no": reference}
    _, made = await v3.call("precreate", order | {"notify_url": NOTIFY_URL})
    assert reference in made["qr_code"]
    assert (await v3.call("query", names)) == (
        400,
        {"code": "ACQ.TRADE_NOT_EXIST", "message": "交易不存在"},
    )
    await rig.control("pay", provider="alipay", reference=reference)
    over_v2 = await shop.call("alipay.trade.query", names)
    _, over_v3 = await v3.call("query", names)
    assert over_v2 == {"code": "10000", "msg": "Success"} | over_v3
    assert over_v3["trade_status"] == "TRADE_SUCCESS"
    back = names | {"refund_amount": "5.00", "out_request_no": "r1"}
    assert (await shop.call("alipay.trade.refund", back))["fund_change"] == "Y"
    assert (await v3.call("refund", back))[1]["fund_change"] == "N"
    asked = names | {"out_request_no": "r1"}
    assert (await v3.call("fastpay.refund.query", asked))[1]["refund_amount"] == "5.00"
    assert await rig.moved("alipay", reference) == {"capture": [2000], "refund": [500]}


async def test_the_notification_goes_to_the_address_in_the_body(
    rig: Rig, v3: AlipayV3Shop, order: dict[str, Any], reference: str
) -> None:
    await v3.call("precreate", order | {"notify_url": NOTIFY_URL})
    await rig.control("pay", provider="alipay", reference=reference)
    seen = await rig.until("notifications", lambda seen: bool(seen["attempts"]))
    assert {each["url"] for each in seen["attempts"]} == {NOTIFY_URL}


async def test_an_open_trade_closes_and_a_paid_one_is_cancelled(
    rig: Rig, v3: AlipayV3Shop, order: dict[str, Any], reference: str
) -> None:
    buyer = {"buyer_id": "2088622987654321"}
    assert (await v3.call("create", order | buyer))[1]["trade_no"]
    assert (await v3.call("close", {"out_trade_no": reference}))[0] == 200
    assert (await v3.call("query", {"out_trade_no": reference}))[1]["trade_status"] == (
        "TRADE_CLOSED"
    )
    paid = {"out_trade_no": f"{reference}b"}
    await v3.call("pay", order | TILL | paid)
    assert (await v3.call("cancel", paid))[1]["action"] == "refund"
    assert await rig.moved("alipay", reference) == {}
    assert await rig.moved("alipay", paid["out_trade_no"]) == {"capture": [2000], "refund": [2000]}


async def test_a_waiting_charge_is_no_success_without_a_mark(
    rig: Rig, v3: AlipayV3Shop, order: dict[str, Any], reference: str
) -> None:
    status, content = await v3.call("pay", order | TILL | {"auth_code": "288888888888880003"})
    assert (status, content["code"]) == (200, "10003")
    assert await rig.moved("alipay", reference) == {}


async def test_certificate_mode_names_the_certificate_that_signed(
    v3_cert: AlipayV3Shop, v3: AlipayV3Shop, order: dict[str, Any]
) -> None:
    response = await v3_cert.send(v3_cert.request("precreate", order))
    v3_cert.opened(response)
    first = v3_cert.twin.certificates("alipay_cert_file")[0]
    assert response.headers["alipay-sn"] == serial_number(first)
    assert "alipay-sn" not in (await v3.send(v3.request("query", {}))).headers


async def test_an_encrypted_call_is_answered_encrypted(
    rig: Rig, v3_aes: AlipayV3Shop, order: dict[str, Any], reference: str
) -> None:
    response = await v3_aes.send(v3_aes.request("pay", order | TILL, encrypted=True))
    assert response.headers["content-type"] == "text/plain"
    assert reference.encode() not in response.content
    assert v3_aes.opened(response)["total_amount"] == "20.00"
    assert await rig.moved("alipay", reference) == {"capture": [2000]}
    plain = await v3_aes.send(v3_aes.request("query", {"out_trade_no": reference}))
    assert v3_aes.opened(plain)["trade_status"] == "TRADE_SUCCESS"
    assert plain.headers["content-type"].startswith("application/json")


async def test_an_error_of_an_encrypted_call_is_plain_and_signed(v3_aes: AlipayV3Shop) -> None:
    response = await v3_aes.send(v3_aes.request("query", {"out_trade_no": "x"}, encrypted=True))
    assert code_of(response) == (400, "ACQ.TRADE_NOT_EXIST")
    v3_aes.verify(response)


@pytest.mark.parametrize(
    ("kind", "params", "status", "code"),
    [
        ("server_error", {}, 500, "unknow-error"),
        ("rate_limited", {}, 429, "app-call-limited"),
        ("system_error", {}, 400, "ACQ.SYSTEM_ERROR"),
        ("error_code", {"sub_code": "ACQ.PAYMENT_FAIL"}, 400, "ACQ.PAYMENT_FAIL"),
        (
            "error_code",
            {"code": "20001", "sub_code": "aop.invalid-auth-token"},
            401,
            "invalid-auth-token",
        ),
        (
            "error_code",
            {"code": "40006", "sub_code": "isv.insufficient-isv-permissions"},
            401,
            "insufficient-isv-permissions",
        ),
    ],
)
async def test_a_scripted_failure_has_its_http_status(
    rig: Rig, v3: AlipayV3Shop, kind: str, params: dict[str, str], status: int, code: str
) -> None:
    await rig.control("faults", provider="alipay", operation="query", kind=kind, params=params)
    response = await v3.send(v3.request("query", {"out_trade_no": "x"}))
    assert code_of(response) == (status, code)


@pytest.mark.parametrize("kind", ["unsigned", "bad_signature", "signtest", "garbled"])
async def test_a_spoiled_answer_does_not_verify_though_it_was_executed(
    rig: Rig, v3: AlipayV3Shop, order: dict[str, Any], reference: str, kind: str
) -> None:
    await rig.control("faults", provider="alipay", operation="create", kind=kind)
    response = await v3.send(v3.request("pay", order | TILL))
    with pytest.raises((InvalidSignature, KeyError)):
        v3.verify(response)
    assert await rig.moved("alipay", reference) == {"capture": [2000]}


async def test_a_lost_answer_was_executed(
    rig: Rig, v3: AlipayV3Shop, order: dict[str, Any], reference: str
) -> None:
    await rig.control("faults", provider="alipay", operation="create", kind="lost_answer")
    with pytest.raises(httpx.ReadError):
        await v3.send(v3.request("pay", order | TILL))
    assert await rig.moved("alipay", reference) == {"capture": [2000]}


async def test_answers_are_written_in_changing_ways(v3: AlipayV3Shop, rig: Rig) -> None:
    texts = set()
    for _ in range(5):
        response = await v3.send(v3.request("query", {"out_trade_no": "x"}))
        v3.verify(response)
        texts.add(response.text)
        assert json.loads(response.text)["message"] == "交易不存在"
    assert len(texts) > 2
    assert rig.manifest["alipay"]["openapi_url"] == "http://sandbox.test"
