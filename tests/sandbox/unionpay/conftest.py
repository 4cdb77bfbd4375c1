from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.sandbox.rig import Rig
from tests.sandbox.unionpay.shop import Fields, UnionpayShop

Step = Callable[..., Awaitable[Any]]
Paid = Callable[..., Awaitable[Fields]]


def shop_of(rig: Rig, merchant: str) -> UnionpayShop:
    """That merchant of the manifest."""
    unionpay = rig.manifest["unionpay"]
    return UnionpayShop(rig.client, unionpay["base_url"], unionpay["merchants"][merchant])


@pytest.fixture
def shop(rig: Rig) -> UnionpayShop:
    """The merchant who signs with RSA and a modern chain."""
    return shop_of(rig, "main")


@pytest.fixture
def pay(rig: Rig) -> Step:
    """The payer pays what a request placed."""

    async def act(fields: Fields, **content: Any) -> Any:
        reference = fields["orderId"]
        return await rig.control("pay", provider="unionpay", reference=reference, **content)

    return act


@pytest.fixture
def paid(shop: UnionpayShop, pay: Step) -> Paid:
    """Place an app order, have it paid without a notification; what a query says of it."""

    async def place() -> Fields:
        request, _ = await shop.app()
        await pay(request, notify=False)
        return await shop.query(request)

    return place


@pytest.fixture
def script(rig: Rig) -> Step:
    """Make the next call or notification of that kind misbehave."""

    async def add(operation: str, kind: str, **params: Any) -> None:
        fault = {"provider": "unionpay", "operation": operation, "kind": kind}
        await rig.control("faults", **fault, params=params)

    return add
