"""Money goes back once per request number and never beyond what was paid."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.sandbox.alipay_shop import AlipayShop
from tests.sandbox.conftest import NOTIFY_URL
from tests.sandbox.rig import Rig

REFUND = "alipay.trade.refund"
REFUND_QUERY = "alipay.trade.fastpay.refund.query"
Paid = Callable[[], Awaitable[str]]


def content(reference: str, amount: str, number: str | None = "r1") -> dict[str, Any]:
    wanted = {"out_trade_no": reference, "refund_amount": amount}
    return wanted if number is None else wanted | {"out_request_no": number}


async def sums(rig: Rig) -> list[int]:
    return [move["amount"] for move in await rig.look("ledger") if move["kind"] == "refund"]


async def test_refund_fee_is_the_sum_of_all_refunds(rig: Rig, shop: AlipayShop, paid: Paid) -> None:
    reference = await paid()
    first = await shop.call(REFUND, content(reference, "5.00", "r1"))
    second = await shop.call(REFUND, content(reference, "7.5", "r2"))
    assert [first["refund_fee"], second["refund_fee"]] == ["5.00", "12.50"]
    assert [first["fund_change"], second["fund_change"]] == ["Y", "Y"]
    assert await sums(rig) == [500, 750]


async def test_a_refund_names_its_channels_where_it_is_queried_to(
    shop: AlipayShop, paid: Paid
) -> None:
    reference = await paid()
    option = {"query_options": ["refund_detail_item_list"]}
    asked = content(reference, "5.00")
    expected = [{"fund_channel": "ALIPAYACCOUNT", "amount": "5.00"}]
    assert "refund_detail_item_list" not in await shop.call(REFUND, asked)
    again = await shop.call(REFUND, asked | option)
    assert again["refund_detail_item_list"] == expected
    queried = {"out_trade_no": reference, "out_request_no": "r1"}
    assert "refund_detail_item_list" not in await shop.call(REFUND_QUERY, queried)
    assert (await shop.call(REFUND_QUERY, queried | option))["refund_detail_item_list"] == expected
    fresh = await shop.call(REFUND, content(reference, "6.00", "r2") | option)
    assert fresh["refund_detail_item_list"][0]["amount"] == "6.00"


@pytest.mark.parametrize("options", [5, "gmt_refund_pay", {"a": 1}, None])
async def test_query_options_of_another_shape_request_nothing(
    shop: AlipayShop, paid: Paid, options: object
) -> None:
    reference = await paid()
    await shop.call(REFUND, content(reference, "5.00"))
    queried = {"out_trade_no": reference, "out_request_no": "r1", "query_options": options}
    node = await shop.call(REFUND_QUERY, queried)
    assert node["refund_status"] == "REFUND_SUCCESS"
    assert "gmt_refund_pay" not in node


async def test_the_same_request_number_moves_money_once(
    rig: Rig, shop: AlipayShop, paid: Paid
) -> None:
    reference = await paid()
    answers = [await shop.call(REFUND, content(reference, "5.00")) for _ in range(3)]
    assert [answer["fund_change"] for answer in answers] == ["Y", "N", "N"]
    assert {answer["refund_fee"] for answer in answers} == {"5.00"}
    assert await sums(rig) == [500]


async def test_the_same_request_number_with_another_sum_is_rejected(
    rig: Rig, shop: AlipayShop, paid: Paid
) -> None:
    reference = await paid()
    await shop.call(REFUND, content(reference, "5.00"))
    node = await shop.call(REFUND, content(reference, "6.00"))
    assert node["sub_code"] == "ACQ.DISCORDANT_REPEAT_REQUEST"
    assert await sums(rig) == [500]


async def test_more_than_was_paid_is_rejected(rig: Rig, shop: AlipayShop, paid: Paid) -> None:
    reference = await paid()
    await shop.call(REFUND, content(reference, "15.00", "r1"))
    node = await shop.call(REFUND, content(reference, "5.01", "r2"))
    assert (node["sub_code"], node["refund_fee"]) == ("ACQ.REASON_TRADE_REFUND_FEE_ERR", "0.00")
    assert await sums(rig) == [1500]


async def test_a_full_refund_closes_the_trade_and_still_repeats(
    rig: Rig, shop: AlipayShop, paid: Paid
) -> None:
    reference = await paid()
    await shop.call(REFUND, content(reference, "20.00"))
    query = await shop.call("alipay.trade.query", {"out_trade_no": reference})
    assert query["trade_status"] == "TRADE_CLOSED"
    assert (await shop.call(REFUND, content(reference, "20.00")))["fund_change"] == "N"
    more = await shop.call(REFUND, content(reference, "0.01", "r2"))
    assert more["sub_code"] == "ACQ.REASON_TRADE_REFUND_FEE_ERR"
    assert await sums(rig) == [2000]


async def test_a_part_needs_a_request_number(shop: AlipayShop, paid: Paid) -> None:
    reference = await paid()
    node = await shop.call(REFUND, content(reference, "5.00", None))
    assert node["sub_code"] == "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL"
    whole = await shop.call(REFUND, content(reference, "20.00", None))
    assert whole["fund_change"] == "Y"
    asked = {"out_trade_no": reference, "out_request_no": reference}
    assert (await shop.call(REFUND_QUERY, asked))["refund_status"] == "REFUND_SUCCESS"


async def test_an_unpaid_trade_cannot_be_refunded(
    rig: Rig, shop: AlipayShop, order: dict[str, Any]
) -> None:
    await shop.call("alipay.trade.create", order | {"buyer_id": "2088102146225135"})
    node = await shop.call(REFUND, content(order["out_trade_no"], "5.00"))
    assert node["sub_code"] == "ACQ.TRADE_STATUS_ERROR"
    nothing = await shop.call(REFUND, content("nothing", "5.00"))
    assert nothing["sub_code"] == "ACQ.TRADE_NOT_EXIST"


async def test_an_empty_success_says_that_a_refund_is_not_done(
    shop: AlipayShop, paid: Paid
) -> None:
    reference = await paid()
    asked = {"out_trade_no": reference, "out_request_no": "r1"}
    assert await shop.call(REFUND_QUERY, asked) == {"code": "10000", "msg": "Success"}
    await shop.call(REFUND, content(reference, "5.00"))
    node = await shop.call(REFUND_QUERY, asked | {"query_options": ["gmt_refund_pay"]})
    assert (node["refund_status"], node["refund_amount"]) == ("REFUND_SUCCESS", "5.00")
    assert node["gmt_refund_pay"]


async def test_a_refund_in_flight_reserves_its_sum_and_ends_as_scripted(
    rig: Rig, shop: AlipayShop, paid: Paid
) -> None:
    reference = await paid()
    params = {"status": "PROCESSING", "then": "SUCCESS", "seconds": 3600}
    await rig.control(
        "faults", provider="alipay", operation="refund", kind="refund_status", params=params
    )
    answer = await shop.call(REFUND, content(reference, "15.00"))
    assert (answer["fund_change"], answer["refund_fee"]) == ("N", "0.00")
    over = await shop.call(REFUND, content(reference, "5.01", "r2"))
    assert over["sub_code"] == "ACQ.REASON_TRADE_REFUND_FEE_ERR"
    await rig.control("clock", scale=1e6)
    await rig.until("ledger", lambda moves: len(moves) == 2)
    asked = {"out_trade_no": reference, "out_request_no": "r1"}
    assert (await shop.call(REFUND_QUERY, asked))["refund_status"] == "REFUND_SUCCESS"


@pytest.mark.parametrize(("status", "moved"), [("SUCCESS", [500]), ("FAIL", [])])
async def test_a_refund_in_flight_is_completed_by_hand(
    rig: Rig, shop: AlipayShop, paid: Paid, status: str, moved: list[int]
) -> None:
    reference = await paid()
    params = {"then": "PROCESSING"}
    await rig.control(
        "faults", provider="alipay", operation="refund", kind="refund_status", params=params
    )
    await shop.call(REFUND, content(reference, "5.00"))
    done = {"provider": "alipay", "refund_reference": "r1", "status": status}
    await rig.control("refunds/complete", **done)
    assert await sums(rig) == moved
    again = await rig.client.post("/_sandbox/refunds/complete", json=done)
    assert again.status_code == 409


@pytest.mark.parametrize("executed", [True, False])
async def test_fund_change_n_does_not_say_whether_money_moved(
    *, rig: Rig, shop: AlipayShop, paid: Paid, executed: bool
) -> None:
    reference = await paid()
    await rig.control(
        "faults",
        provider="alipay",
        operation="refund",
        kind="fund_change_n",
        params={"executed": executed},
    )
    assert (await shop.call(REFUND, content(reference, "5.00")))["fund_change"] == "N"
    assert await sums(rig) == ([500] if executed else [])
    await shop.call(REFUND, content(reference, "5.00"))
    assert await sums(rig) == [500]


async def test_refunds_are_notified_to_the_payments_address(
    rig: Rig, shop: AlipayShop, order: dict[str, Any]
) -> None:
    await shop.call("alipay.trade.precreate", order, notify_url=NOTIFY_URL)
    reference = order["out_trade_no"]
    await rig.control("pay", provider="alipay", reference=reference, notify=False)
    await shop.call(REFUND, content(reference, "5.00", "r1"))
    await shop.call(REFUND, content(reference, "15.00", "r2"))
    await rig.receiver.wait_for(2)
    forms = sorted([await rig.receiver.form(1), await rig.receiver.form(2)], key=_number)
    for form in forms:
        shop.verify_form(form)
    assert [form["trade_status"] for form in forms] == ["TRADE_SUCCESS", "TRADE_CLOSED"]
    assert [form["refund_fee"] for form in forms] == ["5.00", "20.00"]
    assert all("." in form["gmt_refund"] for form in forms)


def _number(form: dict[str, str]) -> str:
    return form["out_biz_no"]
