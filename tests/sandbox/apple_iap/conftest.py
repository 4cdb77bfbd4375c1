from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest

from tests.sandbox.apple_iap.shop import AppStoreShop
from tests.sandbox.rig import Rig

NOTIFICATION_URL = "http://shop.test/notify/apple_iap/main"
COINS = "com.paysaga.tea.coins"
RECIPES = "com.paysaga.tea.recipes"
MONTHLY = "com.paysaga.tea.monthly"
YEARLY = "com.paysaga.tea.yearly"
Step = Callable[..., Awaitable[Any]]


@pytest.fixture
def shop(rig: Rig) -> AppStoreShop:
    """The developer of the manifest's app."""
    return AppStoreShop(rig.client, rig.manifest["apple_iap"])


@pytest.fixture
def token() -> str:
    """An order's id that no other test uses."""
    return str(uuid4())


@pytest.fixture
def act(rig: Rig) -> Step:
    """Something that a buyer, a family or Apple's support does."""

    async def do(deed: str, **content: Any) -> Any:
        return await rig.control(f"apple_iap/{deed}", **content)

    return do


@pytest.fixture
def buy(act: Step, token: str) -> Step:
    """Buy a product, with the test's token, of which nobody is told."""

    async def do(product_id: str = COINS, **content: Any) -> Any:
        usual = {"product_id": product_id, "app_account_token": token, "notify": False}
        return await act("buy", **usual | content)

    return do


@pytest.fixture
async def listening(act: Step) -> str:
    """App Store Connect knows the developer's address."""
    await act("apps/main", notification_url=NOTIFICATION_URL)
    return NOTIFICATION_URL


@pytest.fixture
def script(rig: Rig) -> Step:
    """Make the next call or notification of that kind misbehave."""

    async def add(operation: str, kind: str, **params: Any) -> None:
        fault = {"provider": "apple_iap", "operation": operation, "kind": kind}
        await rig.control("faults", **fault, params=params)

    return add
