"""The merchant scans the payer's code; the last four digits script the outcome."""

from typing import Any

import pytest

from tests.sandbox.rig import Rig
from tests.sandbox.wechatpay.conftest import PLACE, Step
from tests.sandbox.wechatpay.shop import WechatpayShop

CODEPAY = f"{PLACE}/codepay"


def _coded(content: dict[str, Any], last: str) -> dict[str, Any]:
    return content | {"payer": {"auth_code": f"13006109882800{last}"}}


async def test_a_scanned_code_pays_at_once_and_sends_no_notification(
    rig: Rig, shop: WechatpayShop, scanned: dict[str, Any]
) -> None:
    paid = await shop.call("POST", CODEPAY, scanned)
    assert (paid["trade_state"], paid["trade_type"]) == ("SUCCESS", "MICROPAY")
    assert [row["amount"] for row in await rig.look("ledger")] == [2000]
    assert (await rig.look("notifications"))["deliveries"] == []
    assert await shop.refusal("POST", CODEPAY, scanned) == (400, "ORDERPAID")


@pytest.mark.parametrize(("last", "state"), [("0001", "SUCCESS"), ("0002", "PAYERROR")])
async def test_a_payer_who_types_a_password_is_pending_first(
    rig: Rig, shop: WechatpayShop, scanned: dict[str, Any], last: str, state: str
) -> None:
    content = _coded(scanned, last)
    response = await shop.send("POST", CODEPAY, content)
    assert (response.status_code, response.json()["code"]) == (202, "USERPAYING")
    assert shop.is_genuine(response.headers, response.content)
    assert await shop.refusal("POST", CODEPAY, content) == (202, "USERPAYING")
    reference = content["out_trade_no"]
    assert (await shop.state(reference))["trade_state"] == "USERPAYING"
    await rig.control("clock", scale=1000)
    await rig.until("orders", lambda orders: orders[0]["status"] == state)
    assert (await shop.state(reference))["trade_state"] == state


@pytest.mark.parametrize(
    ("last", "refusal"),
    [("0004", (403, "NOT_ENOUGH")), ("0005", (400, "AUTHCODEEXPIRE"))],
)
async def test_a_rejected_code_moves_no_money(
    rig: Rig, shop: WechatpayShop, scanned: dict[str, Any], last: str, refusal: tuple[int, str]
) -> None:
    content = _coded(scanned, last)
    assert await shop.refusal("POST", CODEPAY, content) == refusal
    assert await shop.refusal("POST", CODEPAY, content) == refusal
    assert (await shop.state(content["out_trade_no"]))["trade_state"] == "PAYERROR"
    assert await rig.look("ledger") == []


@pytest.mark.parametrize(("last", "code"), [("0007", "SYSTEM_ERROR"), ("0008", "BANK_ERROR")])
async def test_a_system_error_may_hide_a_payment(
    shop: WechatpayShop, scanned: dict[str, Any], last: str, code: str
) -> None:
    content = _coded(scanned, last)
    assert await shop.refusal("POST", CODEPAY, content) == (500, code)
    assert (await shop.state(content["out_trade_no"]))["trade_state"] == "SUCCESS"


@pytest.mark.parametrize(
    "changes",
    [
        {"payer": {"auth_code": "160061098828009406"}},
        {"payer": {"auth_code": "1300610988280094"}},
        {"payer": {}},
        {"scene_info": None},
        {"scene_info": {"payer_client_ip": "1.2.3.4"}},
    ],
)
async def test_a_bad_code_or_a_missing_scene_is_rejected(
    shop: WechatpayShop, scanned: dict[str, Any], changes: dict[str, Any]
) -> None:
    assert await shop.refusal("POST", CODEPAY, scanned | changes) == (400, "PARAM_ERROR")


@pytest.mark.parametrize("then", ["paid", "failed", "pending"])
async def test_a_scripted_wait_ends_as_scripted(
    rig: Rig, shop: WechatpayShop, scanned: dict[str, Any], script: Step, then: str
) -> None:
    await script("create", "pending", then=then, seconds=0)
    assert await shop.refusal("POST", CODEPAY, scanned) == (202, "USERPAYING")
    if then == "pending":
        pay = {"provider": "wechatpay", "reference": scanned["out_trade_no"]}
        await rig.control("pay", **pay)
    done = {"paid": "SUCCESS", "failed": "PAYERROR", "pending": "SUCCESS"}[then]
    await rig.until("orders", lambda orders: orders[0]["status"] == done)


async def test_reversing_gives_the_money_back_once(
    rig: Rig, shop: WechatpayShop, scanned: dict[str, Any]
) -> None:
    await shop.call("POST", CODEPAY, scanned)
    names = {"appid": shop.appid, "mchid": shop.merchant["mchid"]}
    reverse = f"{PLACE}/out-trade-no/{scanned['out_trade_no']}/reverse"
    first = await shop.call("POST", reverse, names)
    assert await shop.call("POST", reverse, names) == first
    assert (await shop.state(scanned["out_trade_no"]))["trade_state"] == "REVOKED"
    moves = [(row["kind"], row["amount"]) for row in await rig.look("ledger")]
    assert moves == [("capture", 2000), ("refund", 2000)]


async def test_reversing_a_pending_payment_ends_it(
    rig: Rig, shop: WechatpayShop, scanned: dict[str, Any]
) -> None:
    await shop.refusal("POST", CODEPAY, _coded(scanned, "0003"))
    names = {"appid": shop.appid, "mchid": shop.merchant["mchid"]}
    await shop.call("POST", f"{PLACE}/out-trade-no/{scanned['out_trade_no']}/reverse", names)
    pay = {"provider": "wechatpay", "reference": scanned["out_trade_no"]}
    assert (await rig.client.post("/_sandbox/pay", json=pay)).status_code == 409
    assert await rig.look("ledger") == []
