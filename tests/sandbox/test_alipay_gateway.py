"""The gateway refuses what the real one refuses, in the real one's words."""

import html
import json
from typing import Any

import httpx
import pytest

from sandbox.app import create_app
from tests.sandbox.alipay_shop import AlipayShop
from tests.sandbox.conftest import NOTIFY_URL, shop_of
from tests.sandbox.rig import Rig

QUERY = "alipay.trade.query"
NOTHING = {"out_trade_no": "nothing"}


async def test_a_verified_call_is_executed_and_signed(shop: AlipayShop) -> None:
    node = await shop.call(QUERY, NOTHING)
    assert (node["code"], node["sub_code"]) == ("40004", "ACQ.TRADE_NOT_EXIST")


@pytest.mark.parametrize(
    ("dropped", "sub_code"),
    [
        ("app_id", "isv.missing-app-id"),
        ("method", "isv.missing-method"),
        ("sign_type", "isv.missing-signature-type"),
        ("timestamp", "isv.missing-timestamp"),
        ("version", "isv.missing-version"),
    ],
)
async def test_a_missing_common_parameter_is_named_without_a_signature(
    shop: AlipayShop, dropped: str, sub_code: str
) -> None:
    response = await shop.post(shop.params(QUERY, NOTHING, **{dropped: None}))
    _, node = shop.split(response.text)
    assert (node["code"], node["sub_code"]) == ("40001", sub_code)
    assert "sign" not in response.json()


async def test_an_unsigned_call_is_rejected(shop: AlipayShop) -> None:
    params = shop.params(QUERY, NOTHING)
    del params["sign"]
    _, node = shop.split((await shop.post(params)).text)
    assert (node["code"], node["sub_code"]) == ("40001", "isv.missing-signature")


@pytest.mark.parametrize(
    ("changes", "sub_code"),
    [
        ({"sign_type": "RSA"}, "isv.invalid-signature-type"),
        ({"timestamp": "2020-01-01 00:00:00"}, "isv.invalid-timestamp"),
        ({"timestamp": "yesterday"}, "isv.invalid-timestamp"),
        ({"format": "XML"}, "isv.invalid-format"),
        ({"method": "alipay.trade.vanish"}, "isv.invalid-method"),
        ({"version": "2.0"}, "isv.invalid-parameter"),
        ({"biz_content": "{"}, "isv.invalid-parameter"),
        ({"biz_content": "[]"}, "isv.invalid-parameter"),
        ({"app_cert_sn": "0" * 32}, "isv.app-cert-not-exist"),
        ({"encrypt_type": "AES"}, "isv.decryption-error-not-valid-encrypt-key"),
    ],
)
async def test_a_wrong_common_parameter_is_named_and_signed(
    shop: AlipayShop, changes: dict[str, str], sub_code: str
) -> None:
    node = await shop.call(QUERY, NOTHING, **changes)
    assert (node["code"], node["sub_code"]) == ("40002", sub_code)


async def test_an_unknown_application_gets_an_unsigned_answer(shop: AlipayShop) -> None:
    response = await shop.post(shop.params(QUERY, NOTHING, app_id="2021999999999999"))
    _, node = shop.split(response.text)
    assert node["sub_code"] == "isv.invalid-app-id"
    assert "sign" not in response.json()


async def test_an_unknown_method_answers_in_its_own_node(shop: AlipayShop) -> None:
    response = await shop.post(shop.params("alipay.trade.vanish", NOTHING))
    assert next(iter(response.json())) == "alipay_trade_vanish_response"
    assert shop.node(response)["sub_code"] == "isv.invalid-method"


@pytest.mark.parametrize("method", ['a":{},"b', "a b", "支付", "a" * 129, None])
async def test_what_is_no_method_name_answers_in_the_error_node(
    shop: AlipayShop, method: str | None
) -> None:
    response = await shop.post(shop.params(QUERY, NOTHING, method=method))
    assert next(iter(response.json())) == "error_response"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/alipay/gateway.do", "/gateway.do"])
async def test_another_http_method_is_answered_by_the_gateway(
    shop: AlipayShop, method: str, path: str
) -> None:
    response = await shop.client.request(method, path, params=shop.params(QUERY, NOTHING))
    assert shop.node(response)["sub_code"] == "ACQ.TRADE_NOT_EXIST"
    assert response.headers["trace_id"]


async def test_an_unknown_address_of_alipay_is_answered_with_a_trace_id(shop: AlipayShop) -> None:
    response = await shop.client.get("/alipay/elsewhere.do")
    assert response.status_code == 404
    assert response.headers["trace_id"]
    assert response.headers["content-type"].startswith("text/html")


async def test_an_old_application_signs_with_sha_1(rig: Rig, order: dict[str, Any]) -> None:
    shop = shop_of(rig, "old")
    assert shop.app["sign_type"] == "RSA"
    placed = await shop.call("alipay.trade.precreate", order, notify_url=NOTIFY_URL)
    assert placed["code"] == "10000"
    await rig.control("pay", provider="alipay", reference=order["out_trade_no"])
    form = await rig.receiver.form()
    assert form["sign_type"] == "RSA"
    shop.verify_form(form)
    node = await shop.call(QUERY, NOTHING, sign_type="RSA2")
    assert node["sub_code"] == "isv.invalid-signature-type"


async def test_an_old_application_returns_with_sha_1(rig: Rig, order: dict[str, Any]) -> None:
    shop = shop_of(rig, "old")
    text = shop.order_string("alipay.trade.wap.pay", order, return_url="http://shop.test/done")
    paid = await rig.control("pay", provider="alipay", checkout=text)
    form = dict(httpx.URL(paid["return_url"]).params)
    assert form["sign_type"] == "RSA"
    shop.verify_form(form)


async def test_a_sha_256_signature_under_the_old_name_is_rejected(rig: Rig) -> None:
    shop = shop_of(rig, "old")
    params = shop.sign(shop.params(QUERY, NOTHING), sign_type="RSA2")
    assert shop.node(await shop.post(params))["sub_code"] == "isv.invalid-signature"


async def test_a_folder_from_before_gets_the_application_that_it_lacks(rig: Rig) -> None:
    identity = rig.folder / "keys/alipay_identity.json"
    known = json.loads(identity.read_text())
    del known["app_ids"]["old"]
    identity.write_text(json.dumps(known))
    for file in (rig.folder / "keys").glob("alipay_old_*"):
        file.unlink()
    create_app(rig.folder, rig.manifest["alipay"]["gateway_url"].removesuffix("/alipay/gateway.do"))
    again = Rig(rig.client, rig.folder, rig.receiver)
    apps = again.manifest["alipay"]["apps"]
    assert len({app["app_id"] for app in apps.values()}) == len(apps) == 4
    assert apps["main"] == rig.manifest["alipay"]["apps"]["main"]


async def test_a_wrong_signature_echoes_the_string_that_the_gateway_built(
    shop: AlipayShop,
) -> None:
    params = shop.params(QUERY, NOTHING)
    node = shop.node(await shop.post(params | {"notify_url": "http://shop.test/?a=1&b=2"}))
    assert node["sub_code"] == "isv.invalid-signature"
    echoed = node["sub_msg"].partition("：")[2]
    assert "&amp;notify_url=http://shop.test/?a=1&amp;b=2&amp;" in echoed
    assert f"sign_type=RSA2&amp;timestamp={params['timestamp']}" in echoed
    assert "&sign=" not in html.unescape(echoed)


async def test_another_applications_signature_is_rejected(rig: Rig, shop: AlipayShop) -> None:
    other = shop_of(rig, "aes")
    params = other.sign({k: v for k, v in shop.params(QUERY, NOTHING).items() if k != "sign"})
    assert shop.node(await shop.post(params))["sub_code"] == "isv.invalid-signature"


async def test_everything_in_the_query_of_a_get_works_too(shop: AlipayShop) -> None:
    response = await shop.client.get(shop.gateway, params=shop.params(QUERY, NOTHING))
    assert shop.node(response)["sub_code"] == "ACQ.TRADE_NOT_EXIST"


async def test_a_parameter_said_twice_differently_is_rejected(shop: AlipayShop) -> None:
    query = httpx.QueryParams([*shop.params(QUERY, NOTHING).items(), ("version", "1.1")])
    response = await shop.client.get(shop.gateway, params=query)
    assert shop.split(response.text)[1]["sub_code"] == "isv.invalid-parameter"


async def test_gbk_is_read_and_answered_in_gbk(rig: Rig, shop: AlipayShop, order: Any) -> None:
    node = await shop.call("alipay.trade.precreate", order, charset="GBK")
    assert node["code"] == "10000"
    [kept] = await rig.look("orders", reference=order["out_trade_no"])
    assert kept["subject"] == order["subject"]
    refused = await shop.post(shop.params(QUERY, NOTHING, charset="GBK"))
    assert refused.encoding == "gbk"
    assert shop.node(refused)["sub_msg"] == "交易不存在"


async def test_answers_are_written_in_many_ways_and_each_verifies(shop: AlipayShop) -> None:
    texts = [(await shop.post(shop.params(QUERY, NOTHING))).text for _ in range(5)]
    assert {shop.split(text)[1]["sub_code"] for text in texts} == {"ACQ.TRADE_NOT_EXIST"}
    assert len({shop.split(text)[0] for text in texts}) >= 4


async def test_content_encryption_hides_both_directions(rig: Rig, order: Any) -> None:
    shop = shop_of(rig, "aes")
    response = await shop.post(shop.params("alipay.trade.precreate", order))
    raw, _ = shop.split(response.text)
    assert raw.startswith('"')
    assert "qr_code" not in response.text
    assert shop.node(response)["out_trade_no"] == order["out_trade_no"]


@pytest.mark.parametrize(
    ("changes", "sub_code"),
    [
        ({"encrypt_type": "DES"}, "isv.decryption-error-not-valid-encrypt-type"),
        ({"biz_content": "bm90IGVuY3J5cHRlZA=="}, "isv.decryption-error-unknown"),
    ],
)
async def test_what_cannot_be_decrypted_is_rejected(
    rig: Rig, changes: dict[str, str], sub_code: str
) -> None:
    shop = shop_of(rig, "aes")
    response = await shop.post(shop.params(QUERY, NOTHING, **changes))
    assert shop.split(response.text)[1]["sub_code"] == sub_code


async def test_each_request_chooses_whether_its_content_is_encrypted(
    rig: Rig, order: dict[str, Any]
) -> None:
    shop = shop_of(rig, "aes")
    plain = json.dumps(order)
    params = shop.params("alipay.trade.precreate", order, encrypt_type=None, biz_content=plain)
    raw, node = shop.split((await shop.post(params)).text)
    assert raw.startswith("{")
    assert node["code"] == "10000"
    hidden = await shop.post(shop.params("alipay.trade.precreate", order))
    assert shop.split(hidden.text)[0].startswith('"')
    assert shop.node(hidden)["qr_code"] == node["qr_code"]
