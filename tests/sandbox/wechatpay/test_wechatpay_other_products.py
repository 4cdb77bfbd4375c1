"""Abnormal refunds are rescued, the balance is known, and other products need a permission."""

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from tests.sandbox.rig import Rig
from tests.sandbox.wechatpay.conftest import REFUNDS, Step
from tests.sandbox.wechatpay.shop import WechatpayShop

BALANCE = "/v3/merchant/fund/balance"


@pytest.fixture
def abnormal(rig: Rig, shop: WechatpayShop, paid: Step, script: Step) -> Step:
    """Pay an order and refund 500 fen of it to a card that is dead."""

    async def refund() -> dict[str, Any]:
        content = await paid()
        await script("refund", "refund_status", status="ABNORMAL")
        answer: dict[str, Any] = await shop.call("POST", REFUNDS, content)
        assert answer["status"] == "ABNORMAL"
        assert [row["kind"] for row in await rig.look("ledger")] == ["capture"]
        return answer

    return refund


def encrypted(shop: WechatpayShop, text: str) -> str:
    """A sensitive field for the platform's key."""
    mask = padding.MGF1(hashes.SHA1())  # noqa: S303 - WeChat Pay's choice
    scheme = padding.OAEP(mask, hashes.SHA1(), None)  # noqa: S303 - WeChat Pay's choice
    [key] = shop.trusted.values()
    return base64.b64encode(key.encrypt(text.encode(), scheme)).decode()


def path_of(refund: dict[str, Any]) -> str:
    return f"{REFUNDS}/{refund['refund_id']}/apply-abnormal-refund"


@pytest.mark.parametrize("kind", ["USER_BANK_CARD", "MERCHANT_BANK_CARD"])
async def test_an_abnormal_refund_reaches_another_card_once(
    rig: Rig, shop: WechatpayShop, abnormal: Step, kind: str
) -> None:
    refund = await abnormal()
    # Later than the second that the refund was created in.
    await rig.control("clock", offset_seconds=60)
    content = {"out_refund_no": refund["out_refund_no"], "type": kind}
    if kind == "USER_BANK_CARD":
        content |= {
            "bank_type": "CMB_DEBIT",
            "bank_account": encrypted(shop, "6225760000000000"),
            "real_name": encrypted(shop, "张三"),
        }
    for _ in range(2):
        answer = await shop.call("POST", path_of(refund), content)
        assert (answer["status"], answer["channel"]) == ("PROCESSING", "OTHER_BANKCARD")
    await rig.control("clock", scale=1000)
    await rig.until("refunds", lambda refunds: refunds[0]["status"] == "SUCCESS")
    again = await shop.call("POST", path_of(refund), content)
    assert (again["status"], again["channel"]) == ("SUCCESS", "OTHER_BANKCARD")
    assert again["create_time"] == refund["create_time"]
    moves = [(row["kind"], row["amount"]) for row in await rig.look("ledger")]
    assert moves == [("capture", 2000), ("refund", 500)]


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "POCKET"},
        {"type": "USER_BANK_CARD"},
        {"type": "USER_BANK_CARD", "bank_type": "CMB", "bank_account": "6225", "real_name": "x"},
    ],
)
async def test_a_card_that_cannot_be_read_rescues_nothing(
    shop: WechatpayShop, abnormal: Step, changes: dict[str, str]
) -> None:
    refund = await abnormal()
    content = {"out_refund_no": refund["out_refund_no"]} | changes
    assert await shop.refusal("POST", path_of(refund), content) == (400, "PARAM_ERROR")
    found = await shop.call("GET", f"{REFUNDS}/{refund['out_refund_no']}")
    assert found["status"] == "ABNORMAL"


async def test_a_refund_that_is_not_abnormal_is_not_rescued(
    shop: WechatpayShop, paid: Step
) -> None:
    refund = await shop.call("POST", REFUNDS, await paid())
    content = {"out_refund_no": refund["out_refund_no"], "type": "MERCHANT_BANK_CARD"}
    assert await shop.refusal("POST", path_of(refund), content) == (400, "INVALID_REQUEST")
    stranger = path_of({"refund_id": "50300000000000000000000000000"})
    assert await shop.refusal("POST", stranger, content) == (404, "RESOURCE_NOT_EXISTS")


async def test_the_balance_is_what_was_collected_and_not_given_back(
    rig: Rig, shop: WechatpayShop, key_shop: WechatpayShop, paid: Step
) -> None:
    await shop.call("POST", REFUNDS, await paid())
    await rig.control("clock", scale=1000)
    await rig.until("refunds", lambda refunds: refunds[0]["status"] == "SUCCESS")
    basic = await shop.call("GET", f"{BALANCE}/BASIC")
    assert basic == {"available_amount": 1500, "pending_amount": 0}
    assert (await shop.call("GET", f"{BALANCE}/FEES"))["available_amount"] == 0
    assert (await key_shop.call("GET", f"{BALANCE}/BASIC"))["available_amount"] == 0
    assert await shop.refusal("GET", f"{BALANCE}/PURSE") == (400, "PARAM_ERROR")


async def test_another_product_is_answered_as_without_its_permission(shop: WechatpayShop) -> None:
    for path in ("/v3/profitsharing/orders", "/v3/merchant/fund/dayendbalance/BASIC"):
        assert await shop.refusal("GET", path) == (403, "NO_AUTH")
    assert await shop.refusal("GET", "/v3/vanish") == (404, "RESOURCE_NOT_EXISTS")
