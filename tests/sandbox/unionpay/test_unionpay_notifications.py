from typing import Any

import httpx
import pytest

from tests.sandbox.rig import Rig
from tests.sandbox.unionpay.conftest import Step, shop_of
from tests.sandbox.unionpay.shop import BACK_URL, UnionpayShop

FIELDS = {
    "accNo",
    "accessType",
    "bizType",
    "currencyCode",
    "encoding",
    "merId",
    "orderId",
    "queryId",
    "reqReserved",
    "respCode",
    "respMsg",
    "settleAmt",
    "settleCurrencyCode",
    "settleDate",
    "signMethod",
    "traceNo",
    "traceTime",
    "txnAmt",
    "txnSubType",
    "txnTime",
    "txnType",
    "version",
    "signature",
}


@pytest.mark.parametrize("merchant", ["main", "old", "sha256", "sm3"])
async def test_a_payment_is_notified_in_a_signed_form(rig: Rig, pay: Step, merchant: str) -> None:
    shop = shop_of(rig, merchant)
    request, _ = await shop.app(reqReserved="两本书|x=+1")
    await pay(request)
    sent = (await rig.receiver.wait_for(1))[0]
    assert str(sent.url) == BACK_URL
    assert sent.headers["content-type"].startswith("application/x-www-form-urlencoded")
    told = shop.read_form(sent.content)
    assert shop.is_genuine(told)
    assert told.keys() >= FIELDS
    assert (told["respCode"], told["txnAmt"], told["txnTime"]) == ("00", "2000", request["txnTime"])
    assert told["reqReserved"] == "两本书|x=+1"
    if merchant in ("main", "old"):
        assert b"BEGIN+CERTIFICATE-----%0D%0A" in sent.content


async def test_five_sends_and_then_no_answer(rig: Rig, shop: UnionpayShop, pay: Step) -> None:
    rig.receiver.answers = [httpx.Response(500) for _ in range(9)]
    request, _ = await shop.app(payTimeout=None)
    await rig.control("clock", scale=1e5)
    await pay(request)
    seen = await rig.until(
        "notifications", lambda seen: seen["deliveries"][0]["state"] == "exhausted"
    )
    assert len(seen["attempts"]) == 5
    forms = [shop.read_form(sent.content) for sent in rig.receiver.requests]
    assert all(form == forms[0] for form in forms)


@pytest.mark.parametrize("status", [200, 302])
async def test_the_status_alone_acknowledges(
    rig: Rig, shop: UnionpayShop, pay: Step, status: int
) -> None:
    rig.receiver.answers = [httpx.Response(204), httpx.Response(status, content=b"fail")]
    request, _ = await shop.app(payTimeout=None)
    await rig.control("clock", scale=1e5)
    await pay(request)
    seen = await rig.until(
        "notifications", lambda seen: seen["deliveries"][0]["state"] == "accepted"
    )
    assert [attempt["accepted"] for attempt in seen["attempts"]] == [False, True]


async def test_a_payers_failure_is_not_notified(rig: Rig, shop: UnionpayShop) -> None:
    request, _ = await shop.app()
    await rig.control("decline", provider="unionpay", reference=request["orderId"])
    content = {"provider": "unionpay", "reference": request["orderId"]}
    assert (await rig.client.post("/_sandbox/notify", json=content)).status_code == 409
    assert (await rig.look("notifications"))["deliveries"] == []


@pytest.mark.parametrize(
    "kind",
    [
        "tamper_body",
        "foreign_key",
        "foreign_ca",
        "wrong_cn",
        "expired_certificate",
        "unknown_serial",
        "signtest",
    ],
)
@pytest.mark.parametrize("merchant", ["main", "sm3"])
async def test_a_forgery_does_not_verify(
    rig: Rig, pay: Step, script: Step, kind: str, merchant: str
) -> None:
    shop = shop_of(rig, merchant)
    await script("notify", kind)
    request, _ = await shop.app()
    await pay(request)
    told = shop.read_form((await rig.receiver.wait_for(1))[0].content)
    assert told["orderId"] == request["orderId"]
    assert not shop.is_genuine(told)


@pytest.mark.parametrize(
    ("fault", "changed"),
    [
        (("wrong_amount", {"amount": 1}), {"txnAmt": "1", "settleAmt": "1"}),
        (("foreign_app", {"mer_id": "777290058110097"}), {"merId": "777290058110097"}),
        (("resp_code", {"code": "A6"}), {"respCode": "A6"}),
        (("resp_code", {"code": "66"}), {"respCode": "66"}),
        (("gbk", {}), {"encoding": "GBK"}),
    ],
)
async def test_a_genuine_notification_may_say_something_else(
    rig: Rig, shop: UnionpayShop, pay: Step, fault: tuple[str, Any], changed: dict[str, str]
) -> None:
    request, _ = await shop.app(reqReserved="两本书")
    await pay(request, notify=False)
    names = {"provider": "unionpay", "reference": request["orderId"]}
    answer = await rig.control("notify", **names, fault=fault[0], params=fault[1])
    assert answer["accepted"] is True
    told = shop.read_form(rig.receiver.requests[0].content)
    assert shop.is_genuine(told)
    assert changed.items() <= told.items()
    assert told["reqReserved"] == "两本书"


async def test_a_replay_of_yesterday_names_another_triple(
    rig: Rig, shop: UnionpayShop, pay: Step
) -> None:
    request, _ = await shop.app()
    await pay(request, notify=False)
    await rig.control("notify", provider="unionpay", reference=request["orderId"], fault="stale")
    told = shop.read_form(rig.receiver.requests[0].content)
    assert shop.is_genuine(told)
    assert told["orderId"] == request["orderId"]
    assert told["txnTime"] != request["txnTime"]


async def test_a_notification_may_come_five_times_at_once(
    rig: Rig, shop: UnionpayShop, pay: Step, script: Step
) -> None:
    await script("notify", "duplicate", times=5)
    request, _ = await shop.app()
    await pay(request)
    sent = await rig.receiver.wait_for(5)
    assert len({request.content for request in sent}) == 1


async def test_a_lost_notification_comes_again(
    rig: Rig, shop: UnionpayShop, pay: Step, script: Step
) -> None:
    await script("notify", "lose")
    request, _ = await shop.app(payTimeout=None)
    await pay(request)
    await rig.control("clock", scale=1e5)
    assert shop.is_genuine(shop.read_form((await rig.receiver.wait_for(1))[0].content))


async def test_the_payer_may_have_paid_another_amount(
    rig: Rig, shop: UnionpayShop, pay: Step
) -> None:
    request, _ = await shop.app()
    await pay(request, amount=1)
    told = shop.read_form((await rig.receiver.wait_for(1))[0].content)
    assert (told["txnAmt"], shop.is_genuine(told)) == ("1", True)
    assert (await shop.query(request))["txnAmt"] == "1"
    assert [move["amount"] for move in await rig.look("ledger")] == [1]
