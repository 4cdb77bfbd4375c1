"""What was paid for until a moment gives no access after it, whatever the last notification said.

A store's EXPIRED may be lost, or held back by whoever gains by it.
"""

import time
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from api.in_app.schemas import EntitlementFields
from domain.entitlement import LONGEST_GRACE, EntitlementStatus
from domain.product import ProductType
from domain.store_change import Change
from providers.base import Store
from storage.entitlements import EntitlementStore
from tests.api.buyer import MONTHLY, RECIPES, Buyer
from tests.api.house import House, Shop, eventually
from tests.domain.purchases import BOUGHT, MONTH, opened, word

DAY = timedelta(days=1)
TICK = timedelta(milliseconds=1)
S = EntitlementStatus


@pytest.mark.parametrize(
    ("moment", "status"),
    [
        (BOUGHT, S.ACTIVE),
        (BOUGHT + MONTH - TICK, S.ACTIVE),
        (BOUGHT + MONTH, S.EXPIRED),
        (BOUGHT + 100 * MONTH, S.EXPIRED),
    ],
)
def test_a_period_that_has_ended_never_gives_access(moment: datetime, status: S) -> None:
    found = opened()

    assert found.at(moment).status is status
    assert found.has_access_at(moment) is (status is S.ACTIVE)


def test_a_grace_that_has_ended_never_gives_access() -> None:
    until = BOUGHT + MONTH + 16 * DAY
    grace = opened().apply(word(Change.GRACE, after=MONTH, grace_until=until))

    assert grace.has_access_at(until - TICK)
    assert not grace.has_access_at(until)
    # A later report without renewal information neither ends it nor takes its end away.
    told = grace.apply(word(Change.RECORDED, after=MONTH + DAY))
    assert told.has_access_at(until - TICK)
    assert not told.has_access_at(until)


def test_a_grace_without_an_end_never_outlives_the_longest_one() -> None:
    grace = opened().apply(word(Change.GRACE, after=MONTH))

    assert grace.has_access_at(BOUGHT + MONTH + LONGEST_GRACE - TICK)
    assert not grace.has_access_at(BOUGHT + MONTH + LONGEST_GRACE)


@pytest.mark.parametrize(
    "change", [Change.REFUNDED, Change.REVOKED, Change.BILLING_RETRY, Change.EXPIRED]
)
def test_what_was_taken_back_is_never_shown_as_merely_expired(change: Change) -> None:
    found = opened().apply(word(change, after=DAY))

    assert found.at(BOUGHT + 2 * MONTH).status is found.status
    assert not found.has_access_at(BOUGHT + 2 * DAY)


def test_a_purchase_for_good_never_loses_access_to_the_clock() -> None:
    lasting: dict[str, Any] = {"expires_at": None, "product_type": ProductType.NON_CONSUMABLE}

    assert opened(word(Change.PURCHASED, **lasting)).has_access_at(BOUGHT + 1000 * MONTH)


def test_a_renewal_that_arrives_late_is_never_lost_to_the_clock() -> None:
    moment = BOUGHT + MONTH + DAY
    found = opened()
    assert not found.has_access_at(moment)

    renewed = found.apply(word(Change.RENEWED, 1))

    assert renewed.has_access_at(moment)


def test_an_answer_never_shows_an_ended_period_as_active() -> None:
    shown = EntitlementFields.of(opened(), BOUGHT + MONTH)

    assert (shown.status, shown.has_access) == (S.EXPIRED, False)


async def test_an_event_never_shows_an_ended_period_as_active(buyer: Buyer, house: House) -> None:
    payment, bought = await buyer.bought(MONTHLY)
    store = house.dependencies.registry.get("apple_iap", "main")
    assert isinstance(store, Store)
    proof = (await store.verify_purchase(await buyer.signed(bought))).change
    assert proof is not None
    assert proof.purchase is not None
    assert proof.purchase.expires_at is not None
    over = proof.purchase.expires_at + DAY
    late = EntitlementStore(house.dependencies.database, clock=lambda: over)

    for number, change in enumerate((Change.EXTENDED, Change.CONSUMPTION_REQUESTED)):
        said = proof.model_copy(update={"change": change, "auto_renews": False})
        await late.apply(UUID(payment["id"]), f"late-{number}", said)

    told = (await buyer.events(payment))[1:]
    assert [event["type"] for event in told] == [
        "entitlement.changed",
        "entitlement.consumption_requested",
    ]
    for event in told:
        assert (event["data"]["status"], event["data"]["has_access"]) == ("expired", False)


async def test_no_answer_gives_access_after_an_expiry_that_nobody_reported(
    buyer: Buyer, shop: Shop
) -> None:
    payment = await buyer.ask(MONTHLY)
    bought = await buyer.buy(payment)
    signed_at = time.time_ns() // 1_000_000 - 1_000
    ended = {"claims": {"signedDate": signed_at, "expiresDate": signed_at + 500}}
    signed = await buyer.signed(bought, params=ended)

    verified = (await buyer.verify(payment, signed)).json()
    read = await shop.read(payment)
    restored = (await buyer.restore(signed_transactions=[signed])).json()

    assert verified["status"] == "succeeded"
    for entitlement in (verified["entitlement"], read["entitlement"], *restored["data"]):
        assert (entitlement["status"], entitlement["has_access"]) == ("expired", False)
    assert len(restored["data"]) == 1


async def test_a_late_renewal_is_never_refused_after_the_expiry(
    buyer: Buyer, shop: Shop, house: House
) -> None:
    payment, bought = await buyer.bought(MONTHLY)
    over = text("UPDATE entitlements SET expires_at = now() WHERE payment_id = :id")
    async with house.dependencies.database.transaction() as connection:
        await connection.execute(over, {"id": payment["id"]})
    assert not (await shop.read(payment))["entitlement"]["has_access"]

    await buyer.act("renew", transaction_id=bought["transaction_id"])

    async def renewed() -> bool:
        found = (await shop.read(payment))["entitlement"]
        return bool(found["has_access"]) and found["status"] == "active"

    assert await eventually(renewed)


async def test_a_purchase_for_good_is_never_shown_as_expired(buyer: Buyer, shop: Shop) -> None:
    payment, _ = await buyer.bought(RECIPES)

    found = (await shop.read(payment))["entitlement"]
    assert (found["status"], found["has_access"], found["expires_at"]) == ("active", True, None)
