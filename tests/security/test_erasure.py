"""A merchant's metadata may name its customer, who may ask for it to be erased."""

from typing import Any
from uuid import UUID

import pytest

from domain.errors import NotFound
from tests.api.house import House, ProviderSide, Shop, order


async def test_erased_metadata_is_not_read_again(
    shop: Shop, provider: ProviderSide, house: House
) -> None:
    made: dict[str, Any] = (await shop.create(order(metadata={"customer": "Ann"}))).json()
    await provider.pay(made)
    await provider.notify(made)
    paid = await shop.reaches(made, "succeeded")
    assert paid["metadata"] == {"customer": "Ann"}

    await house.dependencies.stores.payments.forget_metadata(UUID(made["id"]))

    found = await shop.read(made)
    events = (await shop.http.get("/v1/events", params={"payment_id": made["id"]})).json()
    assert found["metadata"] == {}
    assert "Ann" not in str(events)
    assert [event["data"]["metadata"] for event in events["data"]] == [{}]
    assert {name: paid[name] for name in paid if name != "metadata"} == {
        name: found[name] for name in found if name != "metadata"
    }


async def test_what_is_not_there_is_not_erased(house: House) -> None:
    with pytest.raises(NotFound):
        await house.dependencies.stores.payments.forget_metadata(UUID(int=0))


async def test_metadata_erased_while_a_payment_is_pending_are_not_in_its_later_events(
    shop: Shop, provider: ProviderSide, house: House
) -> None:
    made: dict[str, Any] = (await shop.create(order(metadata={"customer": "Ann"}))).json()
    await house.dependencies.stores.payments.forget_metadata(UUID(made["id"]))

    await provider.pay(made)
    await provider.notify(made)
    await shop.reaches(made, "succeeded")

    events = (await shop.http.get("/v1/events", params={"payment_id": made["id"]})).json()
    assert [event["data"]["metadata"] for event in events["data"]] == [{}]
