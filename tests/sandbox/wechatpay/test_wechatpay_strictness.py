"""Requests that WeChat Pay refuses; each was accepted once."""

from typing import Any

import pytest

from tests.payer_codes import new_code
from tests.sandbox.rig import Rig
from tests.sandbox.wechatpay.conftest import PLACE, REFUNDS, Place, Step, shop_of
from tests.sandbox.wechatpay.shop import WechatpayShop

LONG = "x" * 257
CODEPAY = f"{PLACE}/codepay"
GOODS = {"merchant_goods_id": "g1", "goods_name": "书", "quantity": 1, "unit_price": 2000}
REFUNDED = {"merchant_goods_id": "g1", "unit_price": 1, "refund_amount": 1, "refund_quantity": 1}


async def refused(shop: WechatpayShop, path: str, content: dict[str, Any]) -> str:
    """The field that a PARAM_ERROR is about."""
    response = await shop.send("POST", path, content)
    assert (response.status_code, response.json()["code"]) == (400, "PARAM_ERROR"), response.text
    return str(response.json()["detail"]["field"])


@pytest.mark.parametrize("merchant", ["cert", "pubkey"])
async def test_a_payers_code_pays_one_order_only(
    rig: Rig, shop: WechatpayShop, scanned: dict[str, Any], merchant: str
) -> None:
    code = {"payer": {"auth_code": new_code("wechatpay")}}
    await shop.call("POST", CODEPAY, scanned | code)
    other = shop_of(rig, merchant)
    second = scanned | code | {"mchid": other.merchant["mchid"], "out_trade_no": "second-order"}
    assert await other.refusal("POST", CODEPAY, second) == (400, "INVALID_REQUEST")
    assert [row["amount"] for row in await rig.look("ledger")] == [2000]
    assert len(await rig.look("orders")) == 1


async def test_a_declined_code_is_used_up_too(shop: WechatpayShop, scanned: dict[str, Any]) -> None:
    declined = scanned | {"payer": {"auth_code": new_code("wechatpay", "0004")}}
    assert await shop.refusal("POST", CODEPAY, declined) == (403, "NOT_ENOUGH")
    assert await shop.refusal("POST", CODEPAY, declined) == (403, "NOT_ENOUGH")
    again = declined | {"out_trade_no": "another-order"}
    assert await shop.refusal("POST", CODEPAY, again) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize("openid", ["nonsense", "xUpF8uMuAJO_M2pxb1Q9zNjWeS6o", "o" * 29])
async def test_an_openid_that_nobody_has_is_rejected_unless_switched_off(
    rig: Rig, shop: WechatpayShop, order: dict[str, Any], openid: str
) -> None:
    content = order | {"payer": {"openid": openid}}
    assert await shop.refusal("POST", f"{PLACE}/jsapi", content) == (400, "PARAM_ERROR")
    await rig.control("strictness", wechatpay_openid=False)
    assert (await shop.call("POST", f"{PLACE}/jsapi", content))["prepay_id"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"detail": {"goods_detail": [GOODS, "x"]}}, "/body/detail/goods_detail/1"),
        (
            {"detail": {"goods_detail": [GOODS, GOODS | {"quantity": 0}]}},
            "/body/detail/goods_detail/1/quantity",
        ),
        (
            {"detail": {"goods_detail": [GOODS | {"unit_price": "20"}]}},
            "/body/detail/goods_detail/0/unit_price",
        ),
        (
            {"detail": {"goods_detail": [{"quantity": 1, "unit_price": 1}]}},
            "/body/detail/goods_detail/0/merchant_goods_id",
        ),
        (
            {"detail": {"goods_detail": [GOODS | {"goods_name": "x" * 257}]}},
            "/body/detail/goods_detail/0/goods_name",
        ),
        ({"scene_info": {"device_id": "1"}}, "/body/scene_info/payer_client_ip"),
        ({"scene_info": {"payer_client_ip": "nonsense"}}, "/body/scene_info/payer_client_ip"),
        (
            {"scene_info": {"payer_client_ip": "::1", "store_info": {"name": "x"}}},
            "/body/scene_info/store_info/id",
        ),
        (
            {
                "scene_info": {
                    "payer_client_ip": "::1",
                    "store_info": {"id": "1", "name": "x" * 257},
                }
            },
            "/body/scene_info/store_info/name",
        ),
    ],
)
async def test_a_nested_object_of_an_order_is_checked(
    shop: WechatpayShop, order: dict[str, Any], changes: dict[str, Any], field: str
) -> None:
    assert await refused(shop, f"{PLACE}/native", order | changes) == field


async def test_whole_nested_objects_are_accepted(place: Place) -> None:
    scene = {"payer_client_ip": "203.0.113.7", "store_info": {"id": "1", "area_code": "440305"}}
    detail = {"cost_price": 2000, "goods_detail": [GOODS]}
    assert (await place(detail=detail, scene_info=scene))["code_url"]


@pytest.mark.parametrize(
    ("amount", "goods", "field"),
    [
        ([("AVAILABLE", 499)], [], "/body/amount/from"),
        ([("AVAILABLE", 400), ("UNAVAILABLE", 101)], [], "/body/amount/from"),
        ([("AVAILABLE", 250), ("AVAILABLE", 250)], [], "/body/amount/from"),
        ([("POCKET", 500)], [], "/body/amount/from/0/account"),
        ([("AVAILABLE", 0)], [], "/body/amount/from/0/amount"),
        ([], [{"merchant_goods_id": "g1"}], "/body/goods_detail/0/unit_price"),
        ([], [REFUNDED | {"refund_quantity": 0}], "/body/goods_detail/0/refund_quantity"),
    ],
)
async def test_the_parts_of_a_refund_must_add_up(
    rig: Rig,
    shop: WechatpayShop,
    paid: Step,
    amount: list[tuple[str, int]],
    goods: list[dict[str, Any]],
    field: str,
) -> None:
    content = await paid()
    sources = [{"account": account, "amount": fen} for account, fen in amount]
    changed = content | {"amount": content["amount"] | {"from": sources}, "goods_detail": goods}
    assert await refused(shop, REFUNDS, changed) == field
    assert await rig.look("refunds") == []


async def test_a_refund_says_which_accounts_paid_for_it(shop: WechatpayShop, paid: Step) -> None:
    content = await paid()
    sources = [{"account": "AVAILABLE", "amount": 400}, {"account": "UNAVAILABLE", "amount": 100}]
    content["amount"]["from"] = sources
    answer = await shop.call("POST", REFUNDS, content | {"goods_detail": [REFUNDED]})
    assert answer["amount"]["from"] == sources


async def test_a_repeated_nonce_is_rejected_unless_switched_off(
    rig: Rig, shop: WechatpayShop
) -> None:
    target = "/v3/certificates"
    headers = {"Authorization": shop.authorization("GET", target)}
    assert (await shop.send("GET", target, headers=headers)).status_code == 200
    assert (await shop.send("GET", target, headers=headers)).status_code == 401
    await rig.control("strictness", wechatpay_repeated_nonce=False)
    assert (await shop.send("GET", target, headers=headers)).status_code == 200
