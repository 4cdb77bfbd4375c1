import asyncio

import httpx
import pytest

from tests.sandbox.rig import Rig
from tests.sandbox.unionpay.conftest import Paid, Step, shop_of
from tests.sandbox.unionpay.shop import UnionpayShop, parse_raw

APP = "appTransReq.do"


async def test_a_lost_answer_was_executed(rig: Rig, shop: UnionpayShop, script: Step) -> None:
    await script("create", "lost_answer")
    request = shop.consume()
    with pytest.raises(httpx.ReadError):
        await shop.call(APP, request)
    assert len(await rig.look("orders")) == 1
    assert (await shop.call(APP, request))["respCode"] == "12"


async def test_a_lost_refund_answer_moved_the_money_once(
    rig: Rig, shop: UnionpayShop, paid: Paid, script: Step
) -> None:
    await script("refund", "refund_status", status="SUCCESS")
    first = shop.give_back("04", (await paid())["queryId"])
    await shop.back(first | {"txnAmt": "500"})
    await script("refund", "lost_answer")
    second = shop.give_back("04", first["origQryId"], txnAmt="700")
    with pytest.raises(httpx.ReadError):
        await shop.back(second)
    assert (await shop.back(second))["respCode"] == "12"
    await rig.control("clock", scale=1000)
    ledger = await rig.until("ledger", lambda seen: len(seen) == 3)
    assert [move["amount"] for move in ledger] == [2000, 500, 700]


async def test_a_server_error_executed_nothing(rig: Rig, shop: UnionpayShop, script: Step) -> None:
    await script("create", "server_error", status=503)
    request = shop.consume()
    assert (await shop.post(APP, shop.sign(request))).status_code == 503
    assert await rig.look("orders") == []
    assert (await shop.call(APP, request))["respCode"] == "00"


@pytest.mark.parametrize("code", ["01", "03", "04", "05", "34", "42", "74", "75", "99"])
async def test_an_unclear_answer_may_well_have_been_executed(
    rig: Rig, shop: UnionpayShop, script: Step, code: str
) -> None:
    await script("create", "resp_code", code=code)
    request, answer = await shop.app()
    assert answer["respCode"] == code
    assert "tn" not in answer
    assert len(await rig.look("orders")) == 1
    assert (await shop.call(APP, request))["respCode"] == "12"


@pytest.mark.parametrize("code", ["02", "06", "33", "38", "43", "71"])
async def test_a_clear_no_executed_nothing(
    rig: Rig, shop: UnionpayShop, script: Step, code: str
) -> None:
    await script("create", "resp_code", code=code)
    request, answer = await shop.app()
    assert answer["respCode"] == code
    assert await rig.look("orders") == []
    assert (await shop.query(request))["respCode"] == "34"


async def test_an_unclear_answer_can_also_mean_that_nothing_happened(
    rig: Rig, shop: UnionpayShop, script: Step
) -> None:
    await script("create", "system_error", executed=False)
    _, answer = await shop.app()
    assert answer["respCode"] == "04"
    assert await rig.look("orders") == []


async def test_the_query_can_say_anything_of_the_original_for_a_while(
    rig: Rig, shop: UnionpayShop, pay: Step, script: Step
) -> None:
    request, _ = await shop.app()
    await pay(request)
    for code in ("03", "04", "05", "66", "A6"):
        await script("query", "orig_resp_code", code=code)
        query = await shop.query(request)
        assert (query["respCode"], query["origRespCode"]) == ("00", code)
        assert ("queryId" in query) == (code == "A6")
    await script("query", "orig_resp_code", code="34")
    assert (await shop.query(request))["respCode"] == "34"
    await script("query", "resp_code", code="03")
    assert (await shop.query(request))["respCode"] == "03"
    assert (await shop.query(request))["origRespCode"] == "00"


async def test_querying_too_often_says_nothing_of_the_payment(
    shop: UnionpayShop, paid: Paid, script: Step
) -> None:
    payment = await paid()
    await script("query", "rate_limited")
    limited = await shop.query(payment)
    assert limited["respCode"] == "37"
    assert "origRespCode" not in limited
    await script("create", "rate_limited")
    _, busy = await shop.app()
    assert busy["respCode"] == "06"


@pytest.mark.parametrize(
    "kind",
    [
        "unsigned",
        "bad_signature",
        "signtest",
        "garbled",
        "foreign_key",
        "foreign_ca",
        "wrong_cn",
        "expired_certificate",
    ],
)
@pytest.mark.parametrize("merchant", ["main", "old", "sm3"])
async def test_an_answer_that_must_not_be_believed_was_executed_all_the_same(
    rig: Rig, script: Step, merchant: str, kind: str
) -> None:
    shop = shop_of(rig, merchant)
    await script("create", kind)
    request = shop.consume()
    response = await shop.post(APP, shop.sign(request))
    assert response.status_code == 200
    assert not shop.is_genuine(parse_raw(response.text))
    assert len(await rig.look("orders")) == 1
    assert (await shop.query(request))["respCode"] == "34"


async def test_a_refunds_query_has_faults_of_its_own(
    rig: Rig, shop: UnionpayShop, paid: Paid, script: Step
) -> None:
    await script("refund_query", "empty_refund_query")
    payment = await paid()
    request = shop.give_back("04", payment["queryId"])
    await shop.back(request)
    assert (await shop.query(payment))["origRespCode"] == "00"
    assert (await shop.query(request))["respCode"] == "34"
    assert (await shop.query(request))["origRespCode"] == "05"
    assert await rig.look("faults") == []


async def test_the_notification_may_come_before_the_answer(
    rig: Rig, shop: UnionpayShop, script: Step
) -> None:
    await script("create", "late_answer", seconds=3600)
    request = shop.consume("06", qrNo="6228481234567899999", termId="1", payTimeout=None)
    waiting = asyncio.create_task(shop.back(request))
    told = shop.read_form((await rig.receiver.wait_for(1))[0].content)
    assert (told["orderId"], told["respCode"]) == (request["orderId"], "00")
    assert not waiting.done()
    waiting.cancel()


async def test_a_delayed_call_is_executed_late(rig: Rig, shop: UnionpayShop, script: Step) -> None:
    await script("create", "delay", seconds=0.2)
    waiting = asyncio.create_task(shop.app())
    await rig.until("faults", lambda seen: seen == [])
    assert await rig.look("orders") == []
    assert (await waiting)[1]["respCode"] == "00"


async def test_a_fault_waits_for_its_own_payment(rig: Rig, shop: UnionpayShop, paid: Paid) -> None:
    mine, other = await paid(), await paid()
    fault = {"provider": "unionpay", "operation": "refund", "kind": "resp_code"}
    await rig.control("faults", **fault, reference=mine["orderId"], params={"code": "38"})
    assert (await shop.back(shop.give_back("04", other["queryId"])))["respCode"] == "00"
    assert (await shop.back(shop.give_back("04", mine["queryId"])))["respCode"] == "38"
