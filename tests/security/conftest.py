from typing import Any

import pytest
from temporalio.client import Client

from api.http.rates import Waiting
from tests.api.house import House, Shop
from tests.security.keyless import Target, keyless, workflow_id
from tests.storage.conftest import (
    events,
    merchant,
    new_payment,
    new_refund,
    paid,
    payments,
    refunds,
    sql,
)

__all__ = ["events", "merchant", "new_payment", "new_refund", "paid", "payments", "refunds", "sql"]


@pytest.fixture
async def stranger_at_temporal(house: House) -> Client:
    return await keyless(house)


@pytest.fixture
def delayed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys (addresses, merchants) of which a request was made to wait by the limits."""
    found: list[str] = []
    usual = Waiting._make_room  # noqa: SLF001 - every wait begins there

    def make_room(self: Waiting, key: str) -> None:
        found.append(key)
        usual(self, key)

    monkeypatch.setattr(Waiting, "_make_room", make_room)
    return found


@pytest.fixture
async def payment(shop: Shop) -> dict[str, Any]:
    return await shop.pending()


@pytest.fixture
async def target(stranger_at_temporal: Client, payment: dict[str, Any]) -> Target:
    return Target(stranger_at_temporal, workflow_id(payment))
