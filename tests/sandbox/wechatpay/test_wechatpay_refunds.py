"""A refund is accepted now and done later; the same number is the same refund."""

import asyncio
from typing import Any

import pytest

from sandbox.app import create_app
from tests.sandbox.rig import Rig
from tests.sandbox.wechatpay.conftest import NOTIFY_URL, REFUNDS, Step
from tests.sandbox.wechatpay.shop import WechatpayShop


async def test_a_refund_is_processing_first_and_then_done(
    rig: Rig, shop: WechatpayShop, paid: Step, reference: str
) -> None:
    content = await paid()
    accepted = await shop.call("POST", REFUNDS, content)
    assert accepted["status"] == "PROCESSING"
    assert "success_time" not in accepted
    assert (accepted["amount"]["refund"], accepted["amount"]["currency"]) == (500, "CNY")
    assert (await shop.state(reference))["trade_state"] == "REFUND"
    await rig.control("clock", scale=1000)
    await rig.until("refunds", lambda refunds: refunds[0]["status"] == "SUCCESS")
    done = await shop.call("GET", f"{REFUNDS}/{content['out_refund_no']}")
    assert (done["status"], done["refund_id"]) == ("SUCCESS", accepted["refund_id"])
    assert done["success_time"].endswith("+08:00")
    moves = [(row["kind"], row["amount"]) for row in await rig.look("ledger")]
    assert moves == [("capture", 2000), ("refund", 500)]


async def test_the_same_number_is_one_refund_however_often_it_is_sent(
    rig: Rig, shop: WechatpayShop, paid: Step
) -> None:
    content = await paid()
    answers = await asyncio.gather(*(shop.call("POST", REFUNDS, content) for _ in range(5)))
    assert len({answer["refund_id"] for answer in answers}) == 1
    assert len(await rig.look("refunds")) == 1
    changed = content | {"amount": content["amount"] | {"refund": 501}}
    assert await shop.refusal("POST", REFUNDS, changed) == (400, "INVALID_REQUEST")


async def test_refunds_never_exceed_what_was_paid(
    rig: Rig, shop: WechatpayShop, paid: Step
) -> None:
    content = await paid()
    answers = await asyncio.gather(
        *(
            shop.send("POST", REFUNDS, content | {"out_refund_no": f"R{number}"})
            for number in range(6)
        )
    )
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] * 4 + [400] * 2
    await rig.control("clock", scale=1000)
    await rig.until("ledger", lambda ledger: len(ledger) == 5)
    assert sum(row["amount"] for row in await rig.look("ledger") if row["kind"] == "refund") == 2000


async def test_a_refund_under_way_is_finished_by_the_next_process(
    rig: Rig, shop: WechatpayShop, paid: Step
) -> None:
    await shop.call("POST", REFUNDS, await paid())
    again = create_app(rig.folder, rig.manifest["base_url"], time_scale=1000)
    async with again.router.lifespan_context(again):
        await rig.until("refunds", lambda refunds: refunds[0]["status"] == "SUCCESS")
    assert [row["kind"] for row in await rig.look("ledger")] == ["capture", "refund"]


async def test_a_closed_refund_frees_its_amount(
    rig: Rig, shop: WechatpayShop, paid: Step, script: Step
) -> None:
    content = await paid()
    whole = content | {"amount": content["amount"] | {"refund": 2000}}
    await script("refund", "refund_status", status="CLOSED")
    assert (await shop.call("POST", REFUNDS, whole))["status"] == "CLOSED"
    again = whole | {"out_refund_no": "R-again"}
    assert (await shop.call("POST", REFUNDS, again))["status"] == "PROCESSING"
    assert [row["kind"] for row in await rig.look("ledger")] == ["capture"]


async def test_an_abnormal_refund_waits_for_an_operator(
    rig: Rig, shop: WechatpayShop, paid: Step, script: Step
) -> None:
    content = await paid()
    await script("refund", "refund_status", status="PROCESSING", then="ABNORMAL", seconds=0)
    await shop.call("POST", REFUNDS, content)
    await rig.until("refunds", lambda refunds: refunds[0]["status"] == "ABNORMAL")
    number = content["out_refund_no"]
    await rig.control(
        "refunds/complete", provider="wechatpay", refund_reference=number, status="SUCCESS"
    )
    assert (await shop.call("GET", f"{REFUNDS}/{number}"))["status"] == "SUCCESS"
    late = {"provider": "wechatpay", "refund_reference": number, "status": "CLOSED"}
    assert (await rig.client.post("/_sandbox/refunds/complete", json=late)).status_code == 409


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"amount": {"refund": 0, "total": 2000, "currency": "CNY"}}, (400, "PARAM_ERROR")),
        ({"amount": {"refund": 1, "total": 2000}}, (400, "PARAM_ERROR")),
        ({"amount": {"refund": 2001, "total": 2000, "currency": "CNY"}}, (400, "INVALID_REQUEST")),
        ({"amount": {"refund": 1, "total": 1999, "currency": "CNY"}}, (400, "INVALID_REQUEST")),
        ({"out_trade_no": None}, (400, "PARAM_ERROR")),
        ({"out_trade_no": "nothing"}, (404, "RESOURCE_NOT_EXISTS")),
        ({"transaction_id": "4200000000202601010000000000"}, (404, "RESOURCE_NOT_EXISTS")),
        ({"out_refund_no": "a b"}, (400, "PARAM_ERROR")),
        ({"reason": "由" * 27}, (400, "PARAM_ERROR")),
        ({"funds_account": "POCKET"}, (400, "PARAM_ERROR")),
    ],
)
async def test_a_refund_that_does_not_fit_is_rejected(
    shop: WechatpayShop,
    paid: Step,
    changes: dict[str, Any],
    refusal: tuple[int, str],
) -> None:
    assert await shop.refusal("POST", REFUNDS, await paid() | changes) == refusal


async def test_an_unpaid_order_is_not_refunded(
    shop: WechatpayShop, place: Step, reference: str
) -> None:
    await place()
    content = {
        "out_trade_no": reference,
        "out_refund_no": "R1",
        "amount": {"refund": 1, "total": 2000, "currency": "CNY"},
    }
    assert await shop.refusal("POST", REFUNDS, content) == (400, "INVALID_REQUEST")
    assert await shop.refusal("GET", f"{REFUNDS}/R1") == (404, "RESOURCE_NOT_EXISTS")


async def test_a_year_after_the_payment_it_is_too_late(
    rig: Rig, shop: WechatpayShop, paid: Step
) -> None:
    content = await paid()
    shop.ahead = 366 * 86400
    await rig.control("clock", offset_seconds=shop.ahead)
    assert await shop.refusal("POST", REFUNDS, content) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize(
    ("kind", "params", "refusal", "count"),
    [
        ("server_error", {"code": "NOT_ENOUGH"}, (403, "NOT_ENOUGH"), 0),
        ("rate_limited", {}, (429, "FREQUENCY_LIMITED"), 0),
        ("rate_limited", {"executed": True}, (429, "FREQUENCY_LIMITED"), 1),
        ("system_error", {}, (500, "SYSTEM_ERROR"), 1),
    ],
)
async def test_a_scripted_rejection_is_followed_by_success_under_the_same_number(
    *,
    rig: Rig,
    shop: WechatpayShop,
    paid: Step,
    script: Step,
    kind: str,
    params: dict[str, Any],
    refusal: tuple[int, str],
    count: int,
) -> None:
    content = await paid()
    await script("refund", kind, **params)
    assert await shop.refusal("POST", REFUNDS, content) == refusal
    assert len(await rig.look("refunds")) == count
    await shop.call("POST", REFUNDS, content)
    assert len(await rig.look("refunds")) == 1


@pytest.mark.parametrize("own", ["http://shop.test/notify/refund", None])
async def test_a_refund_sends_its_own_address_or_else_the_payments(
    rig: Rig, shop: WechatpayShop, paid: Step, script: Step, own: str | None
) -> None:
    content = await paid()
    await script("refund", "refund_status", status="SUCCESS")
    await shop.call("POST", REFUNDS, content | ({"notify_url": own} if own else {}))
    request = (await rig.receiver.wait_for(1))[0]
    assert str(request.url) == (own or NOTIFY_URL)
    envelope, plaintext = shop.read(request)
    assert envelope["event_type"] == "REFUND.SUCCESS"
    assert envelope["resource"]["original_type"] == "refund"
    assert plaintext["refund_status"] == "SUCCESS"
    assert plaintext["mchid"] == shop.merchant["mchid"]
    assert plaintext["amount"] == {
        "total": 2000,
        "refund": 500,
        "payer_total": 2000,
        "payer_refund": 500,
    }
    assert "status" not in plaintext
