from datetime import timedelta

from tests.sandbox.rig import Rig
from tests.sandbox.unionpay.conftest import Step, shop_of
from tests.sandbox.unionpay.shop import UnionpayShop, another_second, beijing, new_order_id


async def test_an_app_order_gets_a_number_and_is_not_yet_there(shop: UnionpayShop) -> None:
    request, answer = await shop.app()
    assert answer["respCode"] == "00"
    assert len(answer["tn"]) == 21
    assert answer["tn"].isdigit()
    query = await shop.query(request)
    assert (query["respCode"], query["txnType"]) == ("34", "00")
    assert "origRespCode" not in query


async def test_the_wallet_opens_it_the_payer_pays_and_the_query_knows(
    rig: Rig, shop: UnionpayShop, pay: Step
) -> None:
    request, answer = await shop.app()
    await rig.control("open", provider="unionpay", checkout=answer["tn"])
    pending = await shop.query(request)
    assert (pending["respCode"], pending["origRespCode"]) == ("00", "05")
    assert (pending["settleAmt"], pending["txnAmt"]) == ("0", "2000")
    assert "queryId" not in pending
    await pay(request)
    done = await shop.query(request)
    assert (done["respCode"], done["origRespCode"]) == ("00", "00")
    assert (done["txnType"], done["txnSubType"]) == ("01", "01")
    assert done["txnAmt"] == "2000"
    query_id = done["queryId"]
    assert len(query_id) == 21
    assert (done["traceNo"], done["traceTime"]) == (query_id[14:20], query_id[4:14])
    ledger = await rig.look("ledger")
    assert [(move["kind"], move["amount"]) for move in ledger] == [("capture", 2000)]


async def test_the_same_triple_is_a_duplicate_and_never_a_second_number(
    rig: Rig, shop: UnionpayShop
) -> None:
    request, _ = await shop.app()
    for changes in ({}, {"txnAmt": "1"}, {"txnTime": another_second(request["txnTime"])}):
        again = await shop.call("appTransReq.do", request | changes)
        assert again["respCode"] == "12"
        assert again["respMsg"].endswith("[2010002]")
        assert "tn" not in again
    assert len(await rig.look("orders")) == 1


async def test_an_order_number_may_come_again_on_another_day(rig: Rig, shop: UnionpayShop) -> None:
    request, _ = await shop.app(payTimeout=None)
    await rig.control("clock", offset_seconds=86400)
    tomorrow = request | {"txnTime": beijing(timedelta(days=1))}
    assert (await shop.call("appTransReq.do", tomorrow))["respCode"] == "00"
    assert (await shop.call("appTransReq.do", tomorrow))["respCode"] == "12"
    assert len(await rig.look("orders", provider="unionpay")) == 2
    await rig.control(
        "pay", provider="unionpay", reference=f"{request['orderId']}@{tomorrow['txnTime'][:8]}"
    )
    assert (await shop.query(tomorrow))["origRespCode"] == "00"
    assert (await shop.query(request))["respCode"] == "34"


async def test_the_right_number_with_another_time_finds_nothing(
    shop: UnionpayShop, pay: Step
) -> None:
    request, _ = await shop.app()
    await pay(request)
    other = request | {"txnTime": another_second(request["txnTime"])}
    assert (await shop.query(other))["respCode"] == "34"


async def test_two_merchants_do_not_see_each_others_orders(rig: Rig, shop: UnionpayShop) -> None:
    request, _ = await shop.app()
    other = shop_of(rig, "sm3")
    assert (await other.query(request))["respCode"] == "34"
    answer = await other.call(
        "appTransReq.do",
        other.consume(orderId=request["orderId"], txnTime=request["txnTime"]),
    )
    assert answer["respCode"] == "00"


async def test_a_rejected_card_can_be_followed_by_a_good_one(
    rig: Rig, shop: UnionpayShop, pay: Step
) -> None:
    request, _ = await shop.app()
    await rig.control("decline", provider="unionpay", reference=request["orderId"])
    assert (await shop.query(request))["origRespCode"] == "64"
    await pay(request)
    assert (await shop.query(request))["origRespCode"] == "00"


async def test_nobody_pays_after_the_time_is_over(rig: Rig, shop: UnionpayShop) -> None:
    unopened, _ = await shop.app()
    opened, _ = await shop.app()
    await rig.control("open", provider="unionpay", reference=opened["orderId"])
    await rig.control("clock", scale=1e6)
    assert (await shop.query(unopened))["respCode"] == "34"
    over = await shop.query(opened)
    assert (over["respCode"], over["origRespCode"]) == ("00", "01")
    for request in (unopened, opened):
        content = {"provider": "unionpay", "reference": request["orderId"]}
        assert (await rig.client.post("/_sandbox/pay", json=content)).status_code == 409
    assert await rig.look("ledger") == []


async def test_an_order_is_paid_once(rig: Rig, shop: UnionpayShop, pay: Step) -> None:
    request, answer = await shop.app()
    await pay(request)
    content = {"provider": "unionpay", "checkout": answer["tn"]}
    assert (await rig.client.post("/_sandbox/pay", json=content)).status_code == 409
    assert len(await rig.look("ledger")) == 1


async def test_a_qr_code_leads_to_the_cashier(rig: Rig, shop: UnionpayShop) -> None:
    request = shop.consume("07")
    answer = await shop.back(request)
    assert answer["respCode"] == "00"
    scanned = await rig.client.get(answer["qrCode"], follow_redirects=True)
    assert "UnionPay 银联" in scanned.text
    assert (await shop.query(request))["origRespCode"] == "05"
    await rig.control("pay", provider="unionpay", checkout=answer["qrCode"])
    query = await shop.query(request)
    assert (query["origRespCode"], query["txnSubType"]) == ("00", "07")


async def test_the_apps_sdk_wants_the_test_mode(rig: Rig, shop: UnionpayShop) -> None:
    _, answer = await shop.app()
    checkout = '{"tn": "%s", "mode": "%s"}'
    for mode, status in (("00", 422), ("01", 200)):
        content = {"provider": "unionpay", "checkout": checkout % (answer["tn"], mode)}
        assert (await rig.client.post("/_sandbox/open", json=content)).status_code == status
    for wrong in ("0" * 21, "{}", "[1", '{"tn": {}}'):
        content = {"provider": "unionpay", "checkout": wrong}
        answered = await rig.client.post("/_sandbox/open", json=content)
        assert answered.status_code in (404, 422)


async def test_what_was_reserved_comes_back_with_its_braces(shop: UnionpayShop, pay: Step) -> None:
    reserved = "{a=1&b=[2&3]}|x="
    request, answer = await shop.app(reqReserved=reserved, riskRateInfo="{commodityName=两本书}")
    assert answer["reqReserved"] == reserved
    await pay(request)
    assert (await shop.query(request))["reqReserved"] == reserved


async def test_the_older_path_and_the_other_merchants_work_alike(rig: Rig) -> None:
    for name in ("old", "sha256", "sm3"):
        shop = shop_of(rig, name)
        shop.base_url = "/gateway/api"
        request, answer = await shop.app(orderId=new_order_id())
        assert answer["respCode"] == "00", name
        assert ("signPubKeyCert" in answer) == (name == "old")
        assert (await shop.query(request))["respCode"] == "34"


async def test_time_passes_though_nobody_queries(rig: Rig, shop: UnionpayShop) -> None:
    await shop.app()
    scan = shop.consume("06", qrNo="6228481234567890001", termId="00000001", payTimeout=None)
    await shop.back(scan)
    await rig.control("clock", scale=1e5)
    orders = await rig.until("orders", lambda seen: {"EXPIRED", "PAID"} == _states(seen))
    assert len(orders) == 2
    told = shop.read_form((await rig.receiver.wait_for(1))[0].content)
    assert told["orderId"] == scan["orderId"]


def _states(orders: list[dict[str, str]]) -> set[str]:
    return {order["status"] for order in orders}
