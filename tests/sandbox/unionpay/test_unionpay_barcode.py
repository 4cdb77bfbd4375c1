import pytest

from tests.payer_codes import new_code
from tests.sandbox.rig import Rig
from tests.sandbox.unionpay.conftest import Step
from tests.sandbox.unionpay.shop import Fields, UnionpayShop


def scan(shop: UnionpayShop, ending: str = "9999", **changes: str | None) -> Fields:
    code = new_code("unionpay", ending)
    return shop.consume("06", qrNo=code, termId="00000001", payTimeout=None, **changes)


async def test_a_good_code_pays_at_once(rig: Rig, shop: UnionpayShop) -> None:
    request = scan(shop)
    assert (await shop.back(request))["respCode"] == "00"
    query = await shop.query(request)
    assert (query["origRespCode"], query["txnSubType"]) == ("00", "06")
    told = shop.read_form((await rig.receiver.wait_for(1))[0].content)
    assert told["queryId"] == query["queryId"]
    assert (await shop.back(request))["respCode"] == "12"
    assert len(await rig.look("ledger")) == 1


@pytest.mark.parametrize(
    ("ending", "codes"),
    [
        ("0001", ("05", "05", "00")),
        ("0002", ("05", "05", "64")),
        ("0009", ("00", "05", "64")),
        ("0010", ("00", "05", "00")),
        ("0004", ("64", "64", "64")),
        ("0005", ("86", "86", "86")),
        ("0006", ("88", "88", "88")),
        ("0007", ("04", "00", "00")),
        ("0008", ("03", "00", "00")),
    ],
)
async def test_the_codes_ending_decides(
    rig: Rig, shop: UnionpayShop, ending: str, codes: tuple[str, str, str]
) -> None:
    sync, pending, final = codes
    request = scan(shop, ending)
    assert (await shop.back(request))["respCode"] == sync
    assert (await shop.query(request))["origRespCode"] == pending
    await rig.control("clock", scale=1e4)
    assert (await shop.query(request))["origRespCode"] == final
    assert len(await rig.look("ledger")) == (final == "00")
    if sync in ("00", "05"):
        told = shop.read_form((await rig.receiver.wait_for(1))[0].content)
        assert (told["respCode"], shop.is_genuine(told)) == (final, True)


async def test_an_undecided_code_waits_for_the_payer(
    rig: Rig, shop: UnionpayShop, pay: Step
) -> None:
    request = scan(shop, "0003")
    assert (await shop.back(request))["respCode"] == "05"
    await rig.control("clock", scale=1e6)
    assert (await shop.query(request))["origRespCode"] == "05"
    await pay(request)
    assert (await shop.query(request))["origRespCode"] == "00"


async def test_a_declined_code_is_over(rig: Rig, shop: UnionpayShop) -> None:
    for act in ("decline", "cancel-by-payer"):
        request = scan(shop, "0003")
        await shop.back(request)
        await rig.control(act, provider="unionpay", reference=request["orderId"])
        assert (await shop.query(request))["origRespCode"] == "64"
        content = {"provider": "unionpay", "reference": request["orderId"]}
        assert (await rig.client.post("/_sandbox/pay", json=content)).status_code == 409


async def test_the_script_can_make_any_code_pending(
    rig: Rig, shop: UnionpayShop, script: Step
) -> None:
    await script("create", "pending", then="paid", seconds=0, code="04")
    request = scan(shop)
    assert (await shop.back(request))["respCode"] == "04"
    assert (await shop.query(request))["origRespCode"] == "00"


@pytest.mark.parametrize("changes", [{"qrNo": "13"}, {"qrNo": None}, {"termId": None}])
async def test_a_scan_without_a_code_or_a_till_is_rejected(
    rig: Rig, shop: UnionpayShop, changes: dict[str, str | None]
) -> None:
    fields = {**scan(shop), **changes}
    request = {key: value for key, value in fields.items() if value is not None}
    assert (await shop.back(request))["respCode"] in ("10", "13")
    assert await rig.look("orders") == []
