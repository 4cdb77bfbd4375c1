"""At the till: the code's last digits decide what the payer does."""

from typing import Any

import pytest

from tests.sandbox.alipay_shop import AlipayShop
from tests.sandbox.conftest import NOTIFY_URL
from tests.sandbox.rig import Rig

PAY = "alipay.trade.pay"
GOOD = "281234567890128888"


@pytest.fixture
def till(shop: AlipayShop, order: dict[str, Any]) -> Any:
    """Charge a payment code for the order."""

    async def charge(auth_code: str = GOOD, **changes: Any) -> dict[str, Any]:
        content = order | {"scene": "bar_code", "auth_code": auth_code} | changes
        return await shop.call(PAY, content, notify_url=NOTIFY_URL)

    return charge


async def status_of(shop: AlipayShop, reference: str) -> str:
    node = await shop.call("alipay.trade.query", {"out_trade_no": reference})
    return str(node.get("trade_status", node.get("sub_code")))


async def test_a_good_code_is_charged_once(rig: Rig, till: Any) -> None:
    node = await till()
    assert (node["code"], node["buyer_pay_amount"]) == ("10000", "20.00")
    assert node["gmt_payment"]
    assert (await till())["sub_code"] == "ACQ.TRADE_HAS_SUCCESS"
    assert [move["amount"] for move in await rig.look("ledger")] == [2000]


@pytest.mark.parametrize(
    ("ending", "sub_code", "status"),
    [
        ("0004", "ACQ.BUYER_BALANCE_NOT_ENOUGH", "WAIT_BUYER_PAY"),
        ("0005", "ACQ.PAYMENT_AUTH_CODE_INVALID", "WAIT_BUYER_PAY"),
    ],
)
async def test_a_rejected_code_moves_nothing(
    *,
    rig: Rig,
    shop: AlipayShop,
    till: Any,
    reference: str,
    ending: str,
    sub_code: str,
    status: str,
) -> None:
    node = await till(GOOD[:-4] + ending)
    assert (node["sub_code"], node["buyer_pay_amount"]) == (sub_code, "0.00")
    assert await status_of(shop, reference) == status
    assert (await till())["code"] == "10000"
    assert len(await rig.look("ledger")) == 1


@pytest.mark.parametrize(
    ("ending", "sub_code"), [("0007", "ACQ.SYSTEM_ERROR"), ("0008", "isp.unknow-error")]
)
async def test_an_unknown_outcome_may_hide_a_payment(
    rig: Rig, till: Any, ending: str, sub_code: str
) -> None:
    assert (await till(GOOD[:-4] + ending))["sub_code"] == sub_code
    assert (await till(GOOD[:-4] + ending))["sub_code"] == "ACQ.TRADE_HAS_SUCCESS"
    assert [move["amount"] for move in await rig.look("ledger")] == [2000]


@pytest.mark.parametrize("auth_code", ["", "123", "991234567890123456", "28123456789012345x"])
async def test_what_is_no_payment_code_makes_no_trade(
    shop: AlipayShop, till: Any, reference: str, auth_code: str
) -> None:
    assert (await till(auth_code))["sub_code"] == "ACQ.PAYMENT_AUTH_CODE_INVALID"
    assert await status_of(shop, reference) == "ACQ.TRADE_NOT_EXIST"


async def test_an_unknown_scene_is_rejected(till: Any) -> None:
    assert (await till(scene="telepathy"))["sub_code"] == "ACQ.INVALID_PARAMETER"


@pytest.mark.parametrize(
    ("ending", "status"),
    [("0001", "TRADE_SUCCESS"), ("0002", "TRADE_CLOSED"), ("0003", "WAIT_BUYER_PAY")],
)
async def test_a_payer_who_types_a_password_decides_later(
    *, rig: Rig, shop: AlipayShop, till: Any, reference: str, ending: str, status: str
) -> None:
    assert (await till(GOOD[:-4] + ending))["code"] == "10003"
    assert await status_of(shop, reference) == "WAIT_BUYER_PAY"
    assert (await till(GOOD[:-4] + ending))["code"] == "10003"
    await rig.control("clock", offset_seconds=30)
    assert await status_of(shop, reference) == status
    assert len(await rig.look("ledger")) == (1 if status == "TRADE_SUCCESS" else 0)


async def test_a_pending_payment_can_be_scripted_and_decided_by_hand(
    rig: Rig, shop: AlipayShop, till: Any, reference: str
) -> None:
    await rig.control(
        "faults",
        provider="alipay",
        operation="create",
        kind="pending",
        reference=reference,
        params={"then": "pending"},
    )
    assert (await till())["code"] == "10003"
    await rig.control("decline", provider="alipay", reference=reference)
    assert await status_of(shop, reference) == "TRADE_CLOSED"
    assert (await till())["sub_code"] == "ACQ.TRADE_HAS_CLOSE"
