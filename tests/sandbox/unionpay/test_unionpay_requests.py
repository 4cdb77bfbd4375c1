"""What the gateway refuses, and in which words."""

from datetime import timedelta
from typing import Any

import pytest

from tests.sandbox.rig import Rig
from tests.sandbox.unionpay.conftest import Paid, shop_of
from tests.sandbox.unionpay.shop import Fields, UnionpayShop, beijing, parse_raw

APP = "appTransReq.do"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"orderId": "short12"}, "10"),
        ({"orderId": "a" * 41}, "10"),
        ({"orderId": "with-a-dash"}, "10"),
        ({"orderId": "with_underscore"}, "10"),
        ({"orderId": None}, "13"),
        ({"txnAmt": "20.00"}, "10"),
        ({"txnAmt": "+2000"}, "10"),
        ({"txnAmt": "0"}, "10"),
        ({"txnAmt": "1" * 13}, "10"),
        ({"txnAmt": None}, "13"),
        ({"currencyCode": "CNY"}, "10"),
        ({"txnTime": "20261322000000"}, "10"),
        ({"txnTime": beijing(timedelta(hours=-8))}, "10"),
        ({"txnTime": beijing(timedelta(hours=8))}, "10"),
        ({"payTimeout": beijing(timedelta(minutes=-1))}, "10"),
        ({"payTimeout": "tomorrow"}, "10"),
        ({"backUrl": "shop.test/notify"}, "10"),
        ({"backUrl": f"http://shop.test/{'x' * 250}"}, "10"),
        ({"backUrl": None}, "13"),
        ({"channelType": "05"}, "10"),
        ({"accessType": "2"}, "10"),
        ({"version": "5.0.0"}, "10"),
        ({"version": None}, "13"),
        ({"encoding": "latin-1"}, "10"),
        ({"encoding": None}, "13"),
        ({"bizType": "000000"}, "32"),
        ({"bizType": None}, "13"),
        ({"txnType": "04", "txnSubType": "00"}, "32"),
        ({"txnType": None}, "13"),
        ({"reqReserved": "x" * 1025}, "10"),
        ({"reqReserved": ""}, "10"),
        ({"merId": "777000000000000"}, "31"),
        ({"merId": None}, "13"),
        ({"signMethod": "11"}, "11"),
        ({"certId": "12345678901"}, "11"),
        ({"certId": None}, "13"),
    ],
)
async def test_a_flawed_request_is_rejected_and_stores_nothing(
    rig: Rig, shop: UnionpayShop, changes: dict[str, Any], code: str
) -> None:
    answer = await shop.call(APP, shop.consume(**changes))
    assert answer["respCode"] == code, answer
    assert "tn" not in answer
    assert await rig.look("orders") == []


async def test_a_hexadecimal_certificate_number_is_rejected(shop: UnionpayShop) -> None:
    number = f"{int(shop.merchant['cert_id']):x}"
    answer = await shop.call(APP, shop.consume(certId=number))
    assert answer["respCode"] in ("10", "11")


async def test_a_forged_request_is_rejected_with_code_11(rig: Rig, shop: UnionpayShop) -> None:
    signed = shop.sign(shop.consume())
    stranger = shop_of(rig, "old").sign(shop.consume())["signature"]
    forgeries: list[Fields] = [
        signed | {"txnAmt": "1"},
        signed | {"added": "later"},
        signed | {"signature": stranger},
        signed | {"signature": "not base64"},
        signed | {"signature": signed["signature"].replace("=", "")},
    ]
    for fields in forgeries:
        answer = shop.read(await shop.post(APP, fields))
        assert answer["respCode"] == "11"
    unsigned = {key: value for key, value in signed.items() if key != "signature"}
    assert shop.read(await shop.post(APP, unsigned))["respCode"] == "13"
    assert await rig.look("orders") == []


async def test_a_wrong_secure_key_is_rejected(rig: Rig) -> None:
    shop = shop_of(rig, "sha256")
    right = shop.merchant["secure_key"]
    shop.merchant = shop.merchant | {"secure_key": "88888888"}
    signed = shop.sign(shop.consume())
    shop.merchant = shop.merchant | {"secure_key": right}
    assert shop.read(await shop.post(APP, signed))["respCode"] == "11"


async def test_only_a_form_with_every_field_once_is_read(rig: Rig, shop: UnionpayShop) -> None:
    signed = shop.sign(shop.consume())
    url = f"{shop.base_url}/{APP}"
    for response in (
        await rig.client.post(url, json=signed),
        await rig.client.post(url, data={**signed, "txnAmt": [signed["txnAmt"], "1"]}),
        await rig.client.post(url, params=signed),
        await rig.client.post(
            url,
            content=b"encoding=UTF-8&orderId=%ff",
            headers={"content-type": "application/x-www-form-urlencoded"},
        ),
    ):
        assert shop.read(response)["respCode"] == "10"
    assert await rig.look("orders") == []


async def test_query_parameters_are_no_part_of_the_request(rig: Rig, shop: UnionpayShop) -> None:
    signed = shop.sign(shop.consume())
    response = await rig.client.post(f"{shop.base_url}/{APP}?txnAmt=1", data=signed)
    assert shop.read(response)["respCode"] == "00"


async def test_answers_are_raw_with_certificate_and_signature_last(
    shop: UnionpayShop, paid: Paid
) -> None:
    request, _ = await shop.app(reqReserved="中文+{a=1&b=2}")
    raw = (await shop.post("queryTrans.do", shop.sign(shop.fields("00", "00")))).content
    text = raw.decode()
    fields = parse_raw(text)
    names = list(fields)
    assert names[-2:] == ["signPubKeyCert", "signature"]
    assert names[:-2] == sorted(names[:-2])
    certificate = fields["signPubKeyCert"]
    assert certificate.startswith("-----BEGIN CERTIFICATE-----\r\n")
    assert certificate.endswith("\r\n-----END CERTIFICATE-----")
    assert "查无此交易[2600000]" in text
    assert "%" not in text
    assert request["reqReserved"].encode() not in raw
    assert (await paid())["respMsg"] == "成功[0000000]"


async def test_line_feeds_instead_of_crlf_break_the_signature(shop: UnionpayShop) -> None:
    _, answer = await shop.app()
    spoiled = answer | {"signPubKeyCert": answer["signPubKeyCert"].replace("\r\n", "\n")}
    assert not shop.is_genuine(spoiled)


async def test_gbk_is_answered_in_gbk(shop: UnionpayShop) -> None:
    request = shop.consume(encoding="GBK", reqReserved="两本书")
    answer = await shop.call(APP, request)
    assert (answer["respCode"], answer["reqReserved"]) == ("00", "两本书")


async def test_only_posts_are_answered(rig: Rig, shop: UnionpayShop) -> None:
    assert (await rig.client.get(f"{shop.base_url}/{APP}")).status_code == 405


@pytest.mark.parametrize("product", ["000000", "000201", "000301", "000902", "001001"])
async def test_a_query_may_name_any_product(shop: UnionpayShop, product: str) -> None:
    request, _ = await shop.app()
    answer = await shop.query(request, bizType=product)
    assert (answer["respCode"], answer["bizType"]) == ("34", product)


@pytest.mark.parametrize("product", ["00000", "0000000", "00020A", "B2C"])
async def test_a_querys_product_is_six_digits(shop: UnionpayShop, product: str) -> None:
    request, _ = await shop.app()
    assert (await shop.query(request, bizType=product))["respCode"] == "10"


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("root", ["/unionpay/gateway/api", "/gateway/api"])
@pytest.mark.parametrize("endpoint", ["queryTrans.do", "frontTransReq.do", "nothing.do", ""])
async def test_an_unknown_address_or_method_gets_unionpays_page(
    shop: UnionpayShop, method: str, root: str, endpoint: str
) -> None:
    answer = await shop.client.request(method, f"{root}/{endpoint}")
    assert answer.status_code == (405 if endpoint in ("queryTrans.do", "frontTransReq.do") else 404)
    assert answer.headers["content-type"] == "text/html;charset=UTF-8"
    assert "银联在线支付" in answer.text
