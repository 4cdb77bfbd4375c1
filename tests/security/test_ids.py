"""Ids that a stranger might compute, and what happens where the key is another one."""

import hashlib
import json
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid5

import pytest

from api.dependencies import Stores
from domain.identity import IdentityKey, new_identity_key
from storage.deployment import DeploymentStore, IdentityKeyMismatch
from tests.api.house import House, ProviderSide, Shop, order, running

# Was written in the source, for everybody to derive every id with.
PUBLISHED_NAMESPACE = UUID("5f1d7b52-3c0e-4c7e-9f0a-6b1f0c2d9a11")


async def test_a_payments_id_cannot_be_computed_from_the_source(shop: Shop) -> None:
    answer = await shop.create(order(), key="A-1")

    name = f"payment\x1f{shop.merchant.id}\x1fA-1"
    assert UUID(answer.json()["id"]) != uuid5(PUBLISHED_NAMESPACE, name)
    stranger = IdentityKey.parse(new_identity_key())
    assert UUID(answer.json()["id"]) != stranger.payment_id(shop.merchant.id, "A-1")


async def test_a_refunds_id_cannot_be_computed_from_the_source(
    shop: Shop, provider: ProviderSide
) -> None:
    made = await shop.pending()
    await provider.pay(made)
    await provider.notify(made)
    await shop.reaches(made, "succeeded")

    refund = (await shop.refund(made, "r-1", amount=1)).json()

    name = f"refund\x1f{UUID(made['id']).hex}\x1fr-1"
    assert UUID(refund["id"]) != uuid5(PUBLISHED_NAMESPACE, name)


async def test_payer_data_cannot_be_guessed_from_a_request_hash(shop: Shop, house: House) -> None:
    body: dict[str, Any] = order(payer={"client_ip": "203.0.113.7"})
    made = (await shop.create(body)).json()

    stored = await house.dependencies.stores.payments.get(UUID(made["id"]))
    assert stored is not None
    # Every field that is not a default, as the hash was made without a key.
    asked = {name: value for name, value in body.items() if name != "currency"}
    for guessed in (body, asked):
        canonical = json.dumps(guessed, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert stored.request_hash != hashlib.sha256(canonical.encode()).hexdigest()


async def test_a_process_with_another_identity_key_names_nothing(house: House, shop: Shop) -> None:
    await house.dependencies.stores.deployment.verify(house.dependencies.identity)
    stranger = IdentityKey.parse(new_identity_key())
    stores = Stores.on(house.dependencies.database)

    with pytest.raises(IdentityKeyMismatch):
        await stores.deployment.verify(stranger)

    elsewhere = replace(house.dependencies, identity=stranger, stores=stores)
    other = House(await running(elsewhere), elsewhere, house.provider, house.door)
    async with other.as_merchant(shop) as http:
        assert (await http.post("/v1/payments", json=order())).status_code == 500


async def test_a_lost_identity_key_makes_no_second_order_of_a_repeated_request(
    house: House, shop: Shop, provider: ProviderSide
) -> None:
    body = order()
    made = (await shop.create(body, key="A-1")).json()
    await provider.pay(made)
    await provider.notify(made)
    paid = await shop.reaches(made, "succeeded")
    refund = (await shop.refund(paid, "r-1", amount=1)).json()
    # As after `replace-identity-key`, of which other tests of this database must not know.
    stores = replace(Stores.on(house.dependencies.database), deployment=_Replaced())
    elsewhere = replace(
        house.dependencies, identity=IdentityKey.parse(new_identity_key()), stores=stores
    )
    other = House(await running(elsewhere), elsewhere, house.provider, house.door)

    async with other.as_merchant(shop) as http:
        key = {"Idempotency-Key": "A-1"}
        again = await http.post("/v1/payments", json=body, headers=key)
        key = {"Idempotency-Key": "r-1"}
        path = f"/v1/payments/{made['id']}/refunds"
        again_refund = await http.post(path, json={"amount": 1}, headers=key)

    assert (again.status_code, again.json()["id"]) == (200, made["id"])
    assert (again_refund.status_code, again_refund.json()["id"]) == (200, refund["id"])
    assert len(await provider.orders(made)) == 1


async def test_a_lost_identity_key_makes_no_second_order_of_an_unanswered_request(
    house: House, shop: Shop, provider: ProviderSide
) -> None:
    body = order()
    answered = await house.dependencies.stores.payments.get(
        UUID((await shop.create(body, key="A-1")).json()["id"])
    )
    assert answered is not None
    # Recorded, and then everything died.
    body["order_no"] += "-2"
    recorded = answered.model_copy(
        update={
            "id": house.dependencies.identity.payment_id(shop.merchant.id, "A-2"),
            "idempotency_key": "A-2",
            "order_no": body["order_no"],
            "checkout": None,
        }
    )
    await house.dependencies.stores.payments.record(recorded)
    stores = replace(Stores.on(house.dependencies.database), deployment=_Replaced())
    elsewhere = replace(
        house.dependencies, identity=IdentityKey.parse(new_identity_key()), stores=stores
    )
    other = House(await running(elsewhere), elsewhere, house.provider, house.door)

    async with other.as_merchant(shop) as http:
        again = await http.post("/v1/payments", json=body, headers={"Idempotency-Key": "A-2"})

    assert (again.status_code, again.json()["id"]) == (200, str(recorded.id))
    assert len(await provider.orders(again.json())) == 1


class _Replaced(DeploymentStore):
    """A deployment whose key was replaced."""

    def __init__(self) -> None:
        self._verified = True
