import asyncio
from datetime import datetime, timedelta
from typing import Any

from tests.sandbox.rig import Rig
from tests.sandbox.unionpay.conftest import Paid, Step, shop_of
from tests.sandbox.unionpay.shop import BEIJING, UnionpayShop, beijing


async def settled(shop: UnionpayShop, request: dict[str, str], code: str) -> dict[str, str]:
    """Ask until the refund has come to that end."""
    async with asyncio.timeout(10):
        while (answer := await shop.query(request)).get("origRespCode") != code:  # noqa: ASYNC110 - seen over HTTP
            await asyncio.sleep(0.02)
    return answer


def moves(ledger: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(move["kind"], move["amount"]) for move in ledger]


async def test_a_refund_is_accepted_first_and_done_later(
    rig: Rig, shop: UnionpayShop, paid: Paid
) -> None:
    payment = await paid()
    request = shop.give_back("04", payment["queryId"], txnAmt="500")
    answer = await shop.back(request)
    assert answer["respCode"] == "00"
    assert (answer["origQryId"], answer["txnAmt"]) == (payment["queryId"], "500")
    assert answer["queryId"] != payment["queryId"]
    assert (await shop.query(request))["origRespCode"] == "05"
    assert moves(await rig.look("ledger")) == [("capture", 2000)]
    await rig.control("clock", scale=100)
    done = await settled(shop, request, "00")
    assert (done["txnType"], done["queryId"]) == ("04", answer["queryId"])
    assert done["origQryId"] == payment["queryId"]
    assert moves(await rig.look("ledger")) == [("capture", 2000), ("refund", 500)]
    told = shop.read_form((await rig.receiver.wait_for(1))[0].content)
    assert shop.is_genuine(told)
    assert (told["txnType"], told["respCode"], told["txnAmt"]) == ("04", "00", "500")
    assert told["origQryId"] == payment["queryId"]


async def test_a_refund_that_was_accepted_may_still_fail(
    rig: Rig, shop: UnionpayShop, paid: Paid, script: Step
) -> None:
    await script("refund", "refund_status", then="FAILED", seconds=0, code="61")
    request = shop.give_back("04", (await paid())["queryId"])
    assert (await shop.back(request))["respCode"] == "00"
    await settled(shop, request, "61")
    told = shop.read_form((await rig.receiver.wait_for(1))[0].content)
    assert (told["respCode"], shop.is_genuine(told)) == ("61", True)
    assert moves(await rig.look("ledger")) == [("capture", 2000)]


async def test_a_failed_refund_frees_its_amount(
    rig: Rig, shop: UnionpayShop, paid: Paid, script: Step
) -> None:
    payment = await paid()
    await script("refund", "refund_status", status="FAILED")
    await shop.back(shop.give_back("04", payment["queryId"]))
    await script("refund", "refund_status", status="SUCCESS")
    assert (await shop.back(shop.give_back("04", payment["queryId"])))["respCode"] == "00"
    assert moves(await rig.look("ledger")) == [("capture", 2000), ("refund", 2000)]


async def test_the_same_refund_twice_is_a_duplicate_and_moves_money_once(
    rig: Rig, shop: UnionpayShop, paid: Paid, script: Step
) -> None:
    await script("refund", "refund_status", status="SUCCESS")
    request = shop.give_back("04", (await paid())["queryId"], txnAmt="500")
    codes = [(await shop.back(request))["respCode"] for _ in range(3)]
    assert codes == ["00", "12", "12"]
    assert moves(await rig.look("ledger")) == [("capture", 2000), ("refund", 500)]


async def test_a_refund_may_not_borrow_the_payments_number(shop: UnionpayShop, paid: Paid) -> None:
    payment = await paid()
    request = shop.give_back(
        "04", payment["queryId"], orderId=payment["orderId"], txnTime=payment["txnTime"]
    )
    assert (await shop.back(request))["respCode"] == "12"


async def test_parts_never_exceed_the_whole(rig: Rig, shop: UnionpayShop, paid: Paid) -> None:
    query_id = (await paid())["queryId"]
    codes = [
        (await shop.back(shop.give_back("04", query_id, txnAmt=amount)))["respCode"]
        for amount in ("1500", "501", "500", "1")
    ]
    assert codes == ["00", "36", "00", "45"]
    await rig.control("clock", scale=1000)
    ledger = await rig.until("ledger", lambda seen: len(seen) == 3)
    assert sum(move["amount"] for move in ledger if move["kind"] == "refund") == 2000


async def test_what_was_not_paid_is_not_given_back(shop: UnionpayShop) -> None:
    request, answer = await shop.app()
    for changes in (
        {"origQryId": "4" * 21},
        {"origQryId": answer["tn"]},
        {"origQryId": None, "origOrderId": request["orderId"], "origTxnTime": request["txnTime"]},
    ):
        refund = shop.give_back("04", "", **changes)
        assert (await shop.back(refund))["respCode"] == "35"
    assert (await shop.back(shop.give_back("04", "", origQryId=None)))["respCode"] == "13"


async def test_nobody_refunds_another_merchants_payment(rig: Rig, paid: Paid) -> None:
    other = shop_of(rig, "sha256")
    answer = await other.back(other.give_back("04", (await paid())["queryId"]))
    assert answer["respCode"] == "35"


async def test_the_original_may_be_named_by_its_triple(shop: UnionpayShop, paid: Paid) -> None:
    payment = await paid()
    names = {"origOrderId": payment["orderId"], "origTxnTime": payment["txnTime"]}
    answer = await shop.back(shop.give_back("04", "", origQryId=None, **names))
    assert (answer["respCode"], answer["origQryId"]) == ("00", payment["queryId"])


async def test_an_undo_is_done_at_once_and_only_once(
    rig: Rig, shop: UnionpayShop, paid: Paid
) -> None:
    query_id = (await paid())["queryId"]
    partial = shop.give_back("31", query_id, txnAmt="500")
    assert (await shop.back(partial))["respCode"] == "36"
    request = shop.give_back("31", query_id)
    assert (await shop.back(request))["respCode"] == "00"
    query = await shop.query(request)
    assert (query["origRespCode"], query["txnType"]) == ("00", "31")
    for kind in ("31", "04"):
        assert (await shop.back(shop.give_back(kind, query_id)))["respCode"] == "45"
    assert moves(await rig.look("ledger")) == [("capture", 2000), ("refund", 2000)]
    told = shop.read_form((await rig.receiver.wait_for(1))[0].content)
    assert (told["txnType"], told["respCode"]) == ("31", "00")


async def test_an_undo_comes_too_late_after_23_oclock_or_a_refund(
    rig: Rig, shop: UnionpayShop, paid: Paid
) -> None:
    query_id = (await paid())["queryId"]
    now = datetime.now(BEIJING)
    cut = now.replace(hour=23, minute=0, second=1, microsecond=0)
    ahead = (cut if cut > now else cut + timedelta(days=1)) - now
    await rig.control("clock", offset_seconds=ahead.total_seconds())
    late = shop.give_back("31", query_id, txnTime=beijing(ahead))
    assert (await shop.back(late))["respCode"] == "35"
    await rig.control("clock", offset_seconds=0)
    await shop.back(shop.give_back("04", query_id, txnAmt="1"))
    assert (await shop.back(shop.give_back("31", query_id)))["respCode"] == "35"


async def test_a_refund_after_330_days_is_too_late(
    rig: Rig, shop: UnionpayShop, paid: Paid
) -> None:
    query_id = (await paid())["queryId"]
    ahead = timedelta(days=331)
    await rig.control("clock", offset_seconds=ahead.total_seconds())
    answer = await shop.back(shop.give_back("04", query_id, txnTime=beijing(ahead)))
    assert answer["respCode"] == "36"
    assert "[4040007]" in answer["respMsg"]


async def test_the_control_api_decides_a_refund_that_waits(
    rig: Rig, shop: UnionpayShop, paid: Paid, script: Step
) -> None:
    await script("refund", "refund_status", then="PROCESSING")
    request = shop.give_back("04", (await paid())["queryId"])
    await shop.back(request)
    names = {"provider": "unionpay", "refund_reference": request["orderId"]}
    await rig.control("refunds/complete", **names, status="SUCCESS")
    assert (await shop.query(request))["origRespCode"] == "00"
    again = await rig.client.post("/_sandbox/refunds/complete", json=names)
    assert again.status_code == 409
    assert moves(await rig.look("ledger")) == [("capture", 2000), ("refund", 2000)]
