"""Requests that UnionPay refuses; each was accepted once. Then 99/01, 95/00 and other products."""

import pytest
from cryptography import x509

from tests.payer_codes import new_code
from tests.sandbox.rig import Rig
from tests.sandbox.unionpay.conftest import Paid, Step, shop_of
from tests.sandbox.unionpay.shop import Fields, UnionpayShop, new_order_id


def scan(shop: UnionpayShop, code: str, **changes: str | None) -> Fields:
    return shop.consume("06", **{"qrNo": code, "termId": "00000001", "payTimeout": None, **changes})


def reversal(shop: UnionpayShop, original: Fields) -> Fields:
    triple = {"orderId": original["orderId"], "txnTime": original["txnTime"]}
    return shop.fields("99", "01", channelType="08", **triple)


async def moves(rig: Rig) -> list[tuple[str, int]]:
    return [(row["kind"], row["amount"]) for row in await rig.look("ledger")]


@pytest.mark.parametrize("merchant", ["main", "sm3"])
async def test_a_payers_code_pays_one_order_only(
    rig: Rig, shop: UnionpayShop, merchant: str
) -> None:
    code = new_code("unionpay")
    assert (await shop.back(scan(shop, code)))["respCode"] == "00"
    other = shop_of(rig, merchant)
    assert (await other.back(scan(other, code)))["respCode"] == "86"
    assert await moves(rig) == [("capture", 2000)]
    assert len(await rig.look("orders")) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"riskRateInfo": "commodityName=tea"},
        {"riskRateInfo": "{tea}"},
        {"riskRateInfo": "{commodityName=" + "x" * 2048 + "}"},
        {"termInfo": "{}"},
        {"termId": "123456789"},
        {"reserved": "cardNumberLock=1"},
        {"orderDesc": "x" * 33},
        {"accType": "09"},
        {"customerIp": "nonsense"},
        {"customerInfo": "{certifTp=01}"},
    ],
)
async def test_secondary_and_nested_fields_are_checked(
    rig: Rig, shop: UnionpayShop, changes: dict[str, str]
) -> None:
    _, answer = await shop.app(**changes)
    assert answer["respCode"] == "10", answer
    assert next(iter(changes)) in answer["respMsg"]
    assert await rig.look("orders") == []


async def test_whole_secondary_fields_are_accepted(shop: UnionpayShop) -> None:
    _, answer = await shop.app(
        riskRateInfo="{commodityName=三体 1/2}",
        reserved="{cardNumberLock=1&x=}",
        customerIp="203.0.113.7",
        accType="01",
    )
    assert answer["respCode"] == "00"


async def test_a_terminal_must_be_named_unless_switched_off(rig: Rig, shop: UnionpayShop) -> None:
    nameless = scan(shop, new_code("unionpay"), termId=None)
    assert (await shop.back(nameless))["respCode"] == "13"
    await rig.control("strictness", unionpay_terminal=False)
    assert (await shop.back(nameless))["respCode"] == "00"


async def test_a_refund_names_one_payment_only(rig: Rig, shop: UnionpayShop, paid: Paid) -> None:
    first, second = await paid(), await paid()
    both = {"origOrderId": second["orderId"], "origTxnTime": second["txnTime"]}
    request = shop.give_back("04", first["queryId"], **both)
    assert (await shop.back(request))["respCode"] == "36"
    half = shop.give_back("04", first["queryId"], origOrderId=first["orderId"])
    assert (await shop.back(half))["respCode"] == "13"
    assert await rig.look("refunds") == []
    same = {"origOrderId": first["orderId"], "origTxnTime": first["txnTime"]}
    assert (await shop.back(shop.give_back("04", first["queryId"], **same)))["respCode"] == "00"


@pytest.mark.parametrize("ending", ["9999", "0007"])
async def test_a_reversed_payment_goes_back_once(rig: Rig, shop: UnionpayShop, ending: str) -> None:
    request = scan(shop, new_code("unionpay", ending))
    await shop.back(request)
    assert (await shop.back(reversal(shop, request)))["respCode"] == "00"
    assert (await shop.back(reversal(shop, request)))["respCode"] == "46"
    assert (await shop.query(request))["origRespCode"] == "46"
    assert await moves(rig) == [("capture", 2000), ("refund", 2000)]


async def test_a_reversed_payment_that_was_pending_is_never_paid(
    rig: Rig, shop: UnionpayShop
) -> None:
    request = scan(shop, new_code("unionpay", "0001"))
    assert (await shop.back(request))["respCode"] == "05"
    assert (await shop.back(reversal(shop, request)))["respCode"] == "00"
    await rig.control("clock", scale=1e6)
    assert (await shop.query(request))["origRespCode"] == "46"
    assert await moves(rig) == []


async def test_only_a_payment_by_the_payers_code_is_reversed(
    rig: Rig, shop: UnionpayShop, paid: Paid, pay: Step
) -> None:
    assert (await shop.back(reversal(shop, await paid())))["respCode"] == "35"
    unknown = scan(shop, new_code("unionpay"), orderId=new_order_id())
    assert (await shop.back(reversal(shop, unknown)))["respCode"] == "35"
    declined = scan(shop, new_code("unionpay", "0004"))
    await shop.back(declined)
    assert (await shop.back(reversal(shop, declined)))["respCode"] == "35"
    assert await moves(rig) == [("capture", 2000)]


async def test_a_refunded_payment_is_not_reversed(rig: Rig, shop: UnionpayShop) -> None:
    request = scan(shop, new_code("unionpay"))
    query_id = (await shop.back(request))["queryId"]
    await shop.back(shop.give_back("31", query_id, bizType="000000"))
    assert (await shop.back(reversal(shop, request)))["respCode"] == "45"
    assert await moves(rig) == [("capture", 2000), ("refund", 2000)]


async def test_the_encryption_certificate_is_handed_out(shop: UnionpayShop) -> None:
    request = shop.fields("95", "00", channelType="07", certType="01")
    pems = [(await shop.back(request))["encryptPubKeyCert"] for _ in range(2)]
    assert pems[0] == pems[1]
    assert "\n" not in pems[0]
    certificate = x509.load_pem_x509_certificate(pems[0].replace("\r", "\n").encode())
    assert "中国银联股份有限公司" in certificate.subject.rfc4514_string()
    without = shop.fields("95", "00", channelType="07")
    assert (await shop.back(without))["respCode"] == "13"


async def test_another_product_is_answered_as_without_its_permission(shop: UnionpayShop) -> None:
    for kinds in (("02", "05"), ("12", "00"), ("73", "00")):
        assert (await shop.back(shop.fields(*kinds)))["respCode"] == "43"
    for endpoint in ("order.do", "batchTrans.do", "cardTransReq.do"):
        assert (await shop.call(endpoint, shop.consume()))["respCode"] == "43"
    assert (await shop.back(shop.fields("88", "00")))["respCode"] == "32"
