"""Calls that go wrong on purpose: what was executed and what was not."""

from typing import Any

import httpx
import pytest
from cryptography.exceptions import InvalidSignature

from tests.sandbox.alipay_shop import AlipayShop
from tests.sandbox.conftest import Precreate
from tests.sandbox.rig import Rig

PRECREATE = "alipay.trade.precreate"


async def inject(rig: Rig, kind: str, **content: Any) -> None:
    wanted = {"provider": "alipay", "operation": "create", "kind": kind}
    await rig.control("faults", **wanted | content)


async def placed(rig: Rig) -> int:
    return len(await rig.look("orders"))


@pytest.mark.parametrize(
    ("kind", "params", "code", "sub_code", "orders"),
    [
        ("server_error", {}, "20000", "isp.unknow-error", 0),
        ("server_error", {"executed": True}, "20000", "isp.unknow-error", 1),
        ("system_error", {}, "40004", "ACQ.SYSTEM_ERROR", 1),
        ("system_error", {"executed": False}, "40004", "ACQ.SYSTEM_ERROR", 0),
        ("rate_limited", {}, "40005", "isv.app-call-limited", 0),
        ("error_code", {"sub_code": "ACQ.PAYMENT_FAIL"}, "40004", "ACQ.PAYMENT_FAIL", 0),
        (
            "error_code",
            {"code": "40002", "sub_code": "isv.invalid-encrypt"},
            "40002",
            "isv.invalid-encrypt",
            0,
        ),
    ],
)
async def test_an_error_code_hides_whether_it_happened(
    *,
    rig: Rig,
    shop: AlipayShop,
    order: dict[str, Any],
    kind: str,
    params: dict[str, Any],
    code: str,
    sub_code: str,
    orders: int,
) -> None:
    await inject(rig, kind, params=params)
    node = await shop.call(PRECREATE, order)
    assert (node["code"], node["sub_code"]) == (code, sub_code)
    assert await placed(rig) == orders
    assert (await shop.call(PRECREATE, order))["code"] == "10000"


@pytest.mark.parametrize("kind", ["bad_signature", "signtest"])
async def test_a_strangers_signature_is_on_an_executed_call(
    rig: Rig, shop: AlipayShop, order: dict[str, Any], kind: str
) -> None:
    await inject(rig, kind)
    with pytest.raises(InvalidSignature):
        await shop.call(PRECREATE, order)
    assert await placed(rig) == 1


async def test_an_answer_without_signature_is_on_an_executed_call(
    rig: Rig, shop: AlipayShop, order: dict[str, Any]
) -> None:
    await inject(rig, "unsigned")
    response = await shop.post(shop.params(PRECREATE, order))
    assert "sign" not in response.json()
    assert await placed(rig) == 1


async def test_a_garbled_answer_is_not_json(
    rig: Rig, shop: AlipayShop, order: dict[str, Any]
) -> None:
    await inject(rig, "garbled")
    response = await shop.post(shop.params(PRECREATE, order))
    with pytest.raises(ValueError, match=r".+"):
        response.json()
    assert await placed(rig) == 1


async def test_a_lost_answer_is_a_broken_read_of_an_executed_call(
    rig: Rig, shop: AlipayShop, order: dict[str, Any]
) -> None:
    await inject(rig, "lost_answer")
    with pytest.raises(httpx.ReadError):
        await shop.call(PRECREATE, order)
    assert await placed(rig) == 1


async def test_a_bad_gateway_speaks_html(rig: Rig, shop: AlipayShop, order: dict[str, Any]) -> None:
    await inject(rig, "server_error", params={"http_status": 502})
    assert (await shop.post(shop.params(PRECREATE, order))).status_code == 502
    assert await placed(rig) == 0


async def test_a_fault_for_one_order_spares_the_others(
    rig: Rig, shop: AlipayShop, order: dict[str, Any]
) -> None:
    await inject(rig, "rate_limited", reference=order["out_trade_no"], times=2)
    other = await shop.call(PRECREATE, order | {"out_trade_no": "another"})
    codes = [(await shop.call(PRECREATE, order))["code"] for _ in range(3)]
    assert [other["code"], *codes] == ["10000", "40005", "40005", "10000"]


async def test_a_star_means_every_call_until_it_is_deleted(
    rig: Rig, shop: AlipayShop, order: dict[str, Any]
) -> None:
    await inject(rig, "rate_limited", operation="*", times=-1)
    assert (await shop.call("alipay.trade.query", order))["code"] == "40005"
    assert (await shop.call("alipay.trade.close", order))["code"] == "40005"
    await rig.client.delete("/_sandbox/faults")
    assert (await shop.call(PRECREATE, order))["code"] == "10000"


async def test_a_hidden_refund_shows_up_later(
    rig: Rig, shop: AlipayShop, order: dict[str, Any]
) -> None:
    await shop.call(PRECREATE, order)
    reference = order["out_trade_no"]
    await rig.control("pay", provider="alipay", reference=reference)
    asked = {"out_trade_no": reference, "out_request_no": "r1"}
    await shop.call("alipay.trade.refund", asked | {"refund_amount": "1.00"})
    await inject(rig, "empty_refund_query", operation="refund_query")
    first = await shop.call("alipay.trade.fastpay.refund.query", asked)
    second = await shop.call("alipay.trade.fastpay.refund.query", asked)
    assert (first.get("refund_status"), second["refund_status"]) == (None, "REFUND_SUCCESS")


@pytest.mark.parametrize(
    "fault",
    [
        {"operation": "create", "kind": "explode"},
        {"operation": "dance", "kind": "delay"},
        {"operation": "notify", "kind": "rate_limited"},
        {"operation": "create", "kind": "delay", "colour": "red"},
        {"operation": "create"},
    ],
)
async def test_an_impossible_fault_is_rejected(rig: Rig, fault: dict[str, str]) -> None:
    response = await rig.client.post("/_sandbox/faults", json={"provider": "alipay"} | fault)
    assert response.status_code == 422
    assert await rig.look("faults") == []


async def test_the_payer_may_pay_another_sum(
    rig: Rig, shop: AlipayShop, order: dict[str, Any]
) -> None:
    await shop.call(PRECREATE, order)
    reference = order["out_trade_no"]
    await rig.control("pay", provider="alipay", reference=reference, amount=1999)
    node = await shop.call("alipay.trade.query", {"out_trade_no": reference})
    assert (node["total_amount"], node["receipt_amount"]) == ("19.99", "19.99")
    assert [move["amount"] for move in await rig.look("ledger")] == [1999]


async def test_a_trade_on_credit_says_so_wherever_it_is_paid(
    rig: Rig, shop: AlipayShop, precreate: Precreate, reference: str
) -> None:
    await inject(rig, "credit_pay_mode")
    await precreate()
    await rig.control("pay", provider="alipay", reference=reference)
    paid = await shop.call("alipay.trade.query", {"out_trade_no": reference})
    assert (paid["trade_status"], paid["credit_pay_mode"]) == ("TRADE_SUCCESS", "creditAdvanceV2")
    told = await rig.receiver.form()
    assert (told["trade_status"], told["credit_pay_mode"]) == ("TRADE_SUCCESS", "creditAdvanceV2")
