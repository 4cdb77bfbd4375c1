"""A store's words: applied once each, with the events that tell of them."""

from uuid import uuid4

import pytest

from domain.errors import Conflict, NotFound
from domain.payment import Payment
from domain.store_change import Change, StoreChange
from storage.entitlements import EntitlementStore
from storage.payments import PaymentStore
from tests.storage.making import EventRows, NewPayment
from tests.storage.selling import (
    BOUGHT,
    purchase,
    refunded,
    renewal,
    sold,
    stored,
    word,
)


async def test_a_report_waits_for_the_payments_money(
    payments: PaymentStore, entitlements: EntitlementStore, new_payment: NewPayment
) -> None:
    payment = await payments.record(sold(new_payment))
    said = refunded(purchase(payment.id))

    with pytest.raises(Conflict) as refusal:
        await entitlements.apply(payment.id, "w", said)
    assert refusal.value.code == "payment_not_paid"


async def test_a_report_about_nothing_or_nobody_is_rejected(
    entitlements: EntitlementStore, bought: Payment
) -> None:
    assert bought.purchase is not None
    silent = StoreChange(change=Change.RECORDED, raw_type="TEST", signed_at=BOUGHT)

    with pytest.raises(NotFound):
        await entitlements.apply(bought.id, "w", silent)
    with pytest.raises(NotFound):
        await entitlements.apply(uuid4(), "w", refunded(bought.purchase))


async def test_a_renewal_is_a_grant_and_an_event_and_no_money_of_the_payment(
    payments: PaymentStore,
    entitlements: EntitlementStore,
    bought: Payment,
    stored_events: EventRows,
) -> None:
    assert bought.purchase is not None
    renewed = renewal(bought.purchase)
    said = word(Change.RENEWED, renewed)

    applied = [await entitlements.apply(bought.id, "w1", said) for _ in range(3)]

    assert applied[0] == applied[1] == applied[2]
    assert applied[0].entitlement.transaction_id == renewed.transaction_id
    rows = await stored_events(bought.id)
    assert [row["type"] for row in rows] == ["payment.succeeded", "entitlement.changed"]
    assert applied[0].event_ids == [rows[1]["id"]]
    owners = await entitlements.owners(renewed)
    assert (owners.transaction, owners.chain) == (bought.id, bought.id)
    assert (await stored(payments, bought)).captured == 1800


async def test_a_report_that_changes_nothing_is_no_event(
    entitlements: EntitlementStore, bought: Payment, stored_events: EventRows
) -> None:
    assert bought.purchase is not None
    applied = await entitlements.apply(bought.id, "w", word(Change.RECORDED, bought.purchase))

    assert applied.event_ids == []
    assert len(await stored_events(bought.id)) == 1


async def test_each_consumption_request_is_an_event(
    entitlements: EntitlementStore, bought: Payment, stored_events: EventRows
) -> None:
    assert bought.purchase is not None
    for number in ("w1", "w2", "w1"):
        said = word(Change.CONSUMPTION_REQUESTED, bought.purchase)
        assert len((await entitlements.apply(bought.id, number, said)).event_ids) == 1

    types = [row["type"] for row in await stored_events(bought.id)]
    assert types[1:] == ["entitlement.consumption_requested"] * 2
