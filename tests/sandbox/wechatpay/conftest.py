from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.sandbox.rig import Rig
from tests.sandbox.wechatpay.shop import WechatpayShop

NOTIFY_URL = "http://shop.test/notify/wechatpay"
PLACE = "/v3/pay/transactions"
REFUNDS = "/v3/refund/domestic/refunds"
Place = Callable[..., Awaitable[dict[str, Any]]]
Step = Callable[..., Awaitable[Any]]


def shop_of(rig: Rig, merchant: str) -> WechatpayShop:
    """That merchant of the manifest."""
    wechatpay = rig.manifest["wechatpay"]
    return WechatpayShop(rig.client, wechatpay["appid"], wechatpay["merchants"][merchant])


@pytest.fixture
def shop(rig: Rig) -> WechatpayShop:
    """The merchant with a platform certificate."""
    return shop_of(rig, "cert")


@pytest.fixture
def key_shop(rig: Rig) -> WechatpayShop:
    """The merchant with a WeChat Pay public key."""
    return shop_of(rig, "pubkey")


@pytest.fixture
def order(shop: WechatpayShop, reference: str) -> dict[str, Any]:
    """The content of an order over 2,000 fen."""
    return {
        "appid": shop.appid,
        "mchid": shop.merchant["mchid"],
        "description": "两本书",
        "out_trade_no": reference,
        "notify_url": NOTIFY_URL,
        "amount": {"total": 2000, "currency": "CNY"},
    }


@pytest.fixture
def scanned(order: dict[str, Any]) -> dict[str, Any]:
    """The content of a barcode payment over 2,000 fen that succeeds at once."""
    kept = {key: value for key, value in order.items() if key != "notify_url"}
    return kept | {
        "payer": {"auth_code": "130061098828009406"},
        "scene_info": {"store_info": {"id": "shop-1"}},
    }


@pytest.fixture
def place(shop: WechatpayShop, order: dict[str, Any]) -> Place:
    """Place the order over a channel, with changes to its content."""

    async def place_order(channel: str = "native", **changes: Any) -> dict[str, Any]:
        return await shop.call("POST", f"{PLACE}/{channel}", order | changes)

    return place_order


@pytest.fixture
def paid(rig: Rig, place: Place, reference: str) -> Step:
    """Place the order and have it paid; told or not told to the merchant."""

    async def pay(*, notify: bool = False) -> dict[str, Any]:
        await place()
        await rig.control("pay", provider="wechatpay", reference=reference, notify=notify)
        return {
            "out_trade_no": reference,
            "out_refund_no": f"R{reference}",
            "amount": {"refund": 500, "total": 2000, "currency": "CNY"},
        }

    return pay


@pytest.fixture
def script(rig: Rig) -> Step:
    """Make the next call or notification of that kind misbehave."""

    async def add(operation: str, kind: str, **params: Any) -> None:
        await rig.control(
            "faults", provider="wechatpay", operation=operation, kind=kind, params=params
        )

    return add
