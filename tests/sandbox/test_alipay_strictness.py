"""Requests that Alipay refuses; each was accepted once."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.payer_codes import new_code
from tests.sandbox.alipay_shop import AlipayShop
from tests.sandbox.conftest import Precreate
from tests.sandbox.rig import Rig

Paid = Callable[[], Awaitable[str]]
GOODS = {"goods_id": "g1", "goods_name": "书", "quantity": "1", "price": "20.00"}
SHARE = {"trans_in": "2088102146225135", "amount": "10.00"}


def till(order: dict[str, Any], code: str, **changes: Any) -> dict[str, Any]:
    return order | {"scene": "bar_code", "auth_code": code} | changes


async def test_a_payers_code_pays_one_order_only(
    rig: Rig, shop: AlipayShop, order: dict[str, Any]
) -> None:
    code = new_code("alipay")
    assert (await shop.call("alipay.trade.pay", till(order, code)))["code"] == "10000"
    second = await shop.call("alipay.trade.pay", till(order, code, out_trade_no="second"))
    assert second["sub_code"] == "ACQ.PAYMENT_AUTH_CODE_INVALID"
    assert [row["amount"] for row in await rig.look("ledger")] == [2000]
    assert len(await rig.look("orders")) == 1


async def test_a_declined_buyer_shows_a_new_code_for_the_same_order(
    rig: Rig, shop: AlipayShop, order: dict[str, Any]
) -> None:
    code = new_code("alipay", "0004")
    for _ in range(2):
        declined = await shop.call("alipay.trade.pay", till(order, code))
        assert declined["sub_code"] == "ACQ.BUYER_BALANCE_NOT_ENOUGH"
    again = await shop.call("alipay.trade.pay", till(order, new_code("alipay")))
    assert again["code"] == "10000"
    assert [row["amount"] for row in await rig.look("ledger")] == [2000]


@pytest.mark.parametrize("token", ["app_auth_token", "auth_token"])
async def test_a_token_that_nobody_was_given_is_rejected(
    shop: AlipayShop, order: dict[str, Any], token: str
) -> None:
    node = await shop.call("alipay.trade.precreate", order, **{token: "nonsense"})
    assert node["code"] == "20001"
    assert node["sub_code"] == f"aop.invalid-{token.replace('_', '-')}"


@pytest.mark.parametrize(
    "buyer",
    [{"buyer_id": "nonsense"}, {"buyer_id": "1088102146225135"}, {"buyer_id": 2088102146225135}],
)
async def test_a_buyer_that_nobody_is_is_rejected(
    rig: Rig, shop: AlipayShop, order: dict[str, Any], buyer: dict[str, Any]
) -> None:
    node = await shop.call("alipay.trade.create", order | buyer)
    assert node["sub_code"] == "ACQ.INVALID_PARAMETER"
    assert await rig.look("orders") == []


async def test_a_short_open_id_is_rejected_unless_switched_off(
    rig: Rig, shop: AlipayShop, order: dict[str, Any]
) -> None:
    content = order | {"buyer_open_id": "nonsense"}
    refused = await shop.call("alipay.trade.create", content)
    assert refused["sub_code"] == "ACQ.INVALID_PARAMETER"
    await rig.control("strictness", alipay_buyer_open_id=False)
    assert (await shop.call("alipay.trade.create", content))["code"] == "10000"
    odd = order | {"buyer_open_id": "{}", "out_trade_no": "odd"}
    assert (await shop.call("alipay.trade.create", odd))["sub_code"] == "ACQ.INVALID_PARAMETER"


@pytest.mark.parametrize(
    "changes",
    [
        {"goods_detail": "x"},
        {"goods_detail": [GOODS, "x"]},
        {"goods_detail": [{"goods_name": "书"}]},
        {"goods_detail": [GOODS | {"quantity": "0"}]},
        {"goods_detail": [GOODS | {"price": "x"}]},
        {"goods_detail": [GOODS | {"goods_name": "x" * 257}]},
        {"extend_params": "x"},
        {"extend_params": {"hb_fq_num": "123456"}},
        {"promo_params": []},
        {"promo_params": {"actual_order_time": "x" * 20}},
        {"royalty_info": "x"},
        {"royalty_info": {"royalty_detail_infos": "x"}},
        {"royalty_info": {"royalty_detail_infos": [{"amount": "1.00"}]}},
        {"royalty_info": {"royalty_detail_infos": [SHARE, SHARE, SHARE]}},
        {"settle_info": {"settle_detail_infos": [{"trans_in_type": "x", "amount": "19.99"}]}},
        {"discountable_amount": "10.00", "undiscountable_amount": "9.99"},
        {"discountable_amount": "20.01"},
        {"sub_merchant": {}},
        {"body": "x" * 129},
        {"store_id": "x" * 33},
        {"operator_id": "x" * 29},
        {"terminal_id": "x" * 33},
        {"passback_params": "x" * 513},
    ],
)
async def test_secondary_fields_are_checked_and_add_up(
    rig: Rig, shop: AlipayShop, order: dict[str, Any], changes: dict[str, Any]
) -> None:
    node = await shop.call("alipay.trade.precreate", order | changes)
    assert (node["code"], node.get("sub_code")) == ("40004", "ACQ.INVALID_PARAMETER"), node
    assert await rig.look("orders") == []


async def test_whole_secondary_fields_are_accepted(precreate: Precreate) -> None:
    assert await precreate(
        goods_detail=[GOODS, GOODS | {"price": 0, "quantity": 2}],
        extend_params={"sys_service_provider_id": "2088511833207846"},
        royalty_info={"royalty_type": "ROYALTY", "royalty_detail_infos": [SHARE, SHARE]},
        settle_info={"settle_detail_infos": [{"trans_in_type": "x", "amount": "20.00"}]},
        discountable_amount="0.00",
        undiscountable_amount="20.00",
        body="x" * 128,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"refund_reason": "x" * 257},
        {"out_request_no": "x" * 65},
        {"refund_royalty_parameters": "x"},
        {"refund_royalty_parameters": [{"amount": "1.00"}]},
        {"refund_royalty_parameters": [SHARE]},
    ],
)
async def test_a_refunds_secondary_fields_are_checked(
    rig: Rig, shop: AlipayShop, paid: Paid, changes: dict[str, Any]
) -> None:
    content = {"out_trade_no": await paid(), "refund_amount": "5.00", "out_request_no": "r1"}
    node = await shop.call("alipay.trade.refund", content | changes)
    assert node["sub_code"] == "ACQ.INVALID_PARAMETER"
    assert await rig.look("refunds") == []


async def test_the_window_of_a_timestamp_can_be_switched_off(
    rig: Rig, shop: AlipayShop, order: dict[str, Any]
) -> None:
    old = "2020-01-01 00:00:00"
    refused = await shop.call("alipay.trade.precreate", order, timestamp=old)
    assert refused["sub_code"] == "isv.invalid-timestamp"
    await rig.control("strictness", alipay_timestamp_window=False)
    assert (await shop.call("alipay.trade.precreate", order, timestamp=old))["code"] == "10000"
    nonsense = await shop.call("alipay.trade.precreate", order, timestamp="nonsense")
    assert nonsense["sub_code"] == "isv.invalid-timestamp"


async def test_a_trades_course_is_synchronised_once_a_number(
    rig: Rig, shop: AlipayShop, paid: Paid
) -> None:
    reference = await paid()
    [order] = await rig.look("orders")
    content = {
        "trade_no": order["provider_reference"],
        "out_request_no": "s1",
        "biz_type": "CREDIT_AUTH",
        "order_biz_info": '{"status":"COMPLETE"}',
    }
    for _ in range(2):
        node = await shop.call("alipay.trade.orderinfo.sync", content)
        assert (node["code"], node["out_trade_no"]) == ("10000", reference)
    other = await shop.call("alipay.trade.orderinfo.sync", content | {"biz_type": "CREDIT_DEDUCT"})
    assert other["sub_code"] == "ACQ.DISCORDANT_REPEAT_REQUEST"
    for changes, sub_code in (
        ({"trade_no": "2026120122000000000000000000"}, "ACQ.TRADE_NOT_EXIST"),
        ({"trade_no": ""}, "ACQ.INVALID_PARAMETER"),
        ({"out_request_no": ""}, "ACQ.INVALID_PARAMETER"),
        ({"biz_type": None}, "ACQ.INVALID_PARAMETER"),
        ({"order_biz_info": "nonsense"}, "ACQ.INVALID_PARAMETER"),
    ):
        node = await shop.call("alipay.trade.orderinfo.sync", content | changes)
        assert node["sub_code"] == sub_code, changes
    assert [row["kind"] for row in await rig.look("ledger")] == ["capture"]


@pytest.mark.parametrize("method", ["alipay.trade.order.settle", "alipay.fund.trans.uni.transfer"])
async def test_another_product_is_answered_as_without_its_permission(
    shop: AlipayShop, method: str
) -> None:
    node = await shop.call(method, {})
    assert (node["code"], node["sub_code"]) == ("40006", "isv.insufficient-isv-permissions")
