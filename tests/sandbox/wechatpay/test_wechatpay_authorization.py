"""Only what the merchant signed, just now and once, gets in."""

import time
from typing import Any

import pytest

from tests.sandbox.rig import Rig
from tests.sandbox.wechatpay.conftest import shop_of
from tests.sandbox.wechatpay.shop import WechatpayShop

ECHO = "/v3/security/echo"


async def test_a_signed_call_is_answered_signed_in_the_content_type_that_sdks_compare(
    shop: WechatpayShop,
) -> None:
    response = await shop.send("POST", ECHO, {"message": "你好"})
    assert (response.status_code, response.json()) == (200, {"message": "你好"})
    assert shop.is_genuine(response.headers, response.content)
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    assert response.headers["Wechatpay-Signature-Type"] == "WECHATPAY2-SHA256-RSA2048"
    assert response.headers["Request-ID"]


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer secret",
        "WECHATPAY2-SHA256-RSA2048",
        'WECHATPAY2-SHA256-RSA2048 mchid="1"',
        "WECHATPAY2-SHA256-RSA2048 mchid=1,nonce_str=a,timestamp=1,serial_no=2,signature=3",
    ],
)
async def test_a_missing_or_garbled_authorization_is_a_sign_error(
    shop: WechatpayShop, header: str
) -> None:
    response = await shop.send("POST", ECHO, {}, {"Authorization": header})
    assert (response.status_code, response.json()["code"]) == (401, "SIGN_ERROR")
    assert "Http头Authorization值格式错误" in response.json()["message"]
    assert "Wechatpay-Signature" not in response.headers


async def test_a_field_named_twice_is_rejected(shop: WechatpayShop) -> None:
    header = shop.authorization("POST", ECHO, "{}") + ',mchid="1900009999"'
    response = await shop.send("POST", ECHO, {}, {"Authorization": header})
    assert response.status_code == 401


async def test_the_order_of_the_fields_is_free(shop: WechatpayShop) -> None:
    scheme, _, fields = shop.authorization("POST", ECHO, "{}").partition(" ")
    turned = ",".join(reversed(fields.split(",")))
    response = await shop.send("POST", ECHO, {}, {"Authorization": f"{scheme} {turned}"})
    assert response.status_code == 200


async def test_a_wrong_signature_is_answered_with_what_should_have_been_signed(
    shop: WechatpayShop,
) -> None:
    target, now = "/v3/certificates?a=%7C", str(int(time.time()))
    header = shop.authorization("GET", "/v3/certificates", timestamp=now, nonce_str="n" * 32)
    response = await shop.send("GET", target, None, {"Authorization": header})
    assert response.status_code == 401
    assert response.json() == {
        "code": "SIGN_ERROR",
        "message": "签名错误，请检查后再试",
        "detail": {
            "field": "signature",
            "location": "authorization",
            "detail": {"issue": "sign not match"},
            "sign_information": {
                "method": "GET",
                "url": target,
                "truncated_sign_message": f"GET\n{target}\n{now}\n",
                "sign_message_length": len(f"GET\n{target}\n{now}\n" + "n" * 32 + "\n\n"),
            },
        },
    }


@pytest.mark.parametrize("body", ['{"a": 1}', '{"a":1} ', '{"a":2}', ""])
async def test_every_byte_of_the_body_is_signed(shop: WechatpayShop, body: str) -> None:
    header = shop.authorization("POST", ECHO, body)
    response = await shop.client.post(
        ECHO,
        content=b'{"a":1}',
        headers={"Authorization": header, "Content-Type": "application/json"},
    )
    assert (response.status_code, response.json()["code"]) == (401, "SIGN_ERROR")


async def test_the_query_is_signed_as_sent(shop: WechatpayShop) -> None:
    target = "/v3/pay/transactions/out-trade-no/a%7Cb%2Ac123?mchid=1&x=%20+"
    assert await shop.refusal("GET", target) == (400, "PARAM_ERROR")


@pytest.mark.parametrize(("seconds", "status"), [(-301, 401), (310, 401), (-290, 200), (290, 200)])
async def test_a_timestamp_is_good_for_five_minutes(
    shop: WechatpayShop, seconds: int, status: int
) -> None:
    header = shop.authorization("POST", ECHO, "{}", timestamp=str(int(time.time()) + seconds))
    response = await shop.send("POST", ECHO, {}, {"Authorization": header})
    assert response.status_code == status


async def test_a_repeated_nonce_is_rejected(shop: WechatpayShop) -> None:
    headers = {"Authorization": shop.authorization("POST", ECHO, "{}")}
    first = await shop.send("POST", ECHO, {}, headers)
    again = await shop.send("POST", ECHO, {}, headers)
    assert (first.status_code, again.status_code) == (200, 401)


async def test_a_nonce_of_more_than_32_characters_is_rejected(shop: WechatpayShop) -> None:
    header = shop.authorization("POST", ECHO, "{}", nonce_str="n" * 33)
    response = await shop.send("POST", ECHO, {}, {"Authorization": header})
    assert response.status_code == 401


async def test_a_merchant_cannot_sign_for_another(
    shop: WechatpayShop, key_shop: WechatpayShop
) -> None:
    other = {name: key_shop.merchant[name] for name in ("mchid",)}
    header = shop.authorization("POST", ECHO, "{}", **other)
    both = header.replace(shop.merchant["merchant_serial"], key_shop.merchant["merchant_serial"])
    for forged in (header, both):
        response = await shop.send("POST", ECHO, {}, {"Authorization": forged})
        assert (response.status_code, response.json()["code"]) == (401, "SIGN_ERROR")


async def test_a_merchant_serial_counts_without_case_and_leading_zeros(rig: Rig) -> None:
    shop = shop_of(rig, "zero_serial")
    serial = shop.merchant["merchant_serial"]
    assert serial.startswith("0")
    for written in (serial, serial.lstrip("0"), serial.lower(), f"00{serial}"):
        header = shop.authorization("POST", ECHO, "{}", serial_no=written)
        response = await shop.send("POST", ECHO, {}, {"Authorization": header})
        assert response.status_code == 200
    for wrong in (f"{serial}0", serial[:-1], "0"):
        header = shop.authorization("POST", ECHO, "{}", serial_no=wrong)
        response = await shop.send("POST", ECHO, {}, {"Authorization": header})
        assert (response.status_code, response.json()["code"]) == (401, "SIGN_ERROR")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("target", ["/v3/no/such/thing", "/v3/certificates/1", "/v3/", "/v3"])
async def test_an_unknown_address_is_answered_signed_with_a_request_id(
    shop: WechatpayShop, method: str, target: str
) -> None:
    body: dict[str, Any] | None = {} if method in ("POST", "PUT", "PATCH") else None
    response = await shop.send(method, target, body)
    assert (response.status_code, response.json()["code"]) == (404, "RESOURCE_NOT_EXISTS")
    assert shop.is_genuine(response.headers, response.content)
    assert response.headers["Request-ID"]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_another_method_on_a_known_address_is_answered_signed(
    shop: WechatpayShop, method: str
) -> None:
    response = await shop.send(method, ECHO, {})
    assert (response.status_code, response.json()["code"]) == (404, "RESOURCE_NOT_EXISTS")
    assert shop.is_genuine(response.headers, response.content)
    unsigned = await shop.client.request(method, ECHO)
    assert unsigned.status_code in (400, 401)
    assert unsigned.headers["Request-ID"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_an_alipay_address_is_never_answered_by_wechat_pay(
    shop: WechatpayShop, method: str
) -> None:
    response = await shop.send(method, "/v3/alipay/trade/vanish", {})
    assert (response.status_code, response.json()["code"]) == (404, "invalid-method")
    assert "alipay-trace-id" in response.headers
    assert not any(name.startswith("wechatpay-") for name in response.headers)


async def test_the_headers_of_an_answer_keep_the_documented_capitals(shop: WechatpayShop) -> None:
    response = await shop.send("POST", ECHO, {})
    names = {name.decode() for name, _ in response.headers.raw}
    assert {
        "Wechatpay-Timestamp",
        "Wechatpay-Nonce",
        "Wechatpay-Signature",
        "Wechatpay-Serial",
        "Wechatpay-Signature-Type",
        "Request-ID",
        "Content-Type",
    } <= names


@pytest.mark.parametrize(
    "headers",
    [{"User-Agent": ""}, {"Accept": ""}, {"Accept": "text/html"}, {"Content-Type": "text/plain"}],
)
async def test_the_required_headers_are_required(
    shop: WechatpayShop, headers: dict[str, str]
) -> None:
    response = await shop.send("POST", ECHO, {}, headers)
    assert (response.status_code, response.json()["code"]) == (400, "PARAM_ERROR")


@pytest.mark.parametrize("body", ["{", "[]", "null", "", '{"a":"\\ud800"}'])
async def test_a_body_that_is_no_json_object_is_rejected(shop: WechatpayShop, body: str) -> None:
    header = shop.authorization("POST", ECHO, body)
    headers = {"Authorization": header, "Content-Type": "application/json"}
    response = await shop.client.post(ECHO, content=body.encode(), headers=headers)
    assert (response.status_code, response.json()["code"]) == (400, "PARAM_ERROR")
