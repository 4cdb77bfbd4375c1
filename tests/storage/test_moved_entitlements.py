"""An entitlement that moves to another payment: the payment that lost it gets an event."""

import asyncio
import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg

from domain.merchant import Merchant
from domain.payment import Payment
from domain.purchase import Purchase
from domain.store_change import Change
from storage.database import Database
from storage.entitlements import EntitlementStore
from storage.merchants import MerchantStore
from storage.payments import PaymentStore
from tests.storage.making import EventRows, NewPayment
from tests.storage.selling import paid_by, purchase, renewal, sold, word

UPGRADED = "com.shop.yearly"


def upgrade(first: Purchase, payment: Payment) -> Purchase:
    """The chain's next purchase, with the token of another payment."""
    return renewal(first).model_copy(
        update={"token": payment.id, "product_id": UPGRADED, "renewal": False}
    )


def data_of(row: asyncpg.Record) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(row["data"])
    return found


async def test_the_payment_that_loses_its_entitlement_by_an_upgrade_gets_one_event(
    payments: PaymentStore,
    entitlements: EntitlementStore,
    bought: Payment,
    new_payment: NewPayment,
    stored_events: EventRows,
) -> None:
    assert bought.purchase is not None
    second = await payments.record(sold(new_payment, product_id=UPGRADED))
    moved = upgrade(bought.purchase, second)

    for _ in range(3):
        await payments.finalise(paid_by(second, moved))

    first, *others = await stored_events(bought.id)
    assert first["type"] == "payment.succeeded"
    [lost] = others
    data = data_of(lost)
    assert (lost["type"], lost["sequence"], lost["delivery"]) == (
        "entitlement.changed",
        2,
        "waiting",
    )
    assert (data["status"], data["has_access"], data["change"]) == ("moved", False, "moved")
    assert (data["payment_id"], data["transaction_id"]) == (
        str(bought.id),
        bought.purchase.transaction_id,
    )
    assert (data["moved_to"], data["changed_transaction_id"]) == (
        str(second.id),
        moved.transaction_id,
    )
    assert [row["type"] for row in await stored_events(second.id)] == ["payment.succeeded"]
    assert (await payments.find_moved_event(await _stored(payments, second))) == lost["id"]
    assert (await payments.find_moved_event(await _stored(payments, bought))) is None
    [kept] = await entitlements.list_for_payment(second.id)
    assert kept.product_id == UPGRADED


async def test_a_report_that_moves_an_entitlement_returns_the_events_of_both_payments(
    payments: PaymentStore,
    entitlements: EntitlementStore,
    bought: Payment,
    new_payment: NewPayment,
    stored_events: EventRows,
) -> None:
    assert bought.purchase is not None
    second = await payments.record(sold(new_payment))
    await payments.finalise(paid_by(second, purchase(second.id)))
    change = word(Change.RENEWED, upgrade(bought.purchase, second))

    applied = [await entitlements.apply(second.id, "report", change) for _ in range(2)]

    [_, lost], [_, gained] = await stored_events(bought.id), await stored_events(second.id)
    assert [each.event_ids for each in applied] == [[gained["id"], lost["id"]]] * 2
    assert data_of(lost)["status"] == "moved"
    assert data_of(lost)["raw_type"] == change.raw_type
    # A later report of the same transaction has no part in the move.
    later = word(Change.RENEWAL_PREFERENCE, upgrade(bought.purchase, second), after=timedelta(2))
    again = await entitlements.apply(second.id, "later", later)
    assert lost["id"] not in again.event_ids


async def test_an_entitlement_that_moves_to_another_merchant_names_nothing_of_it(
    payments: PaymentStore,
    database: Database,
    bought: Payment,
    new_payment: NewPayment,
    stored_events: EventRows,
) -> None:
    assert bought.purchase is not None
    other = Merchant(id=f"m-{uuid4().hex}", name="Rival")
    await MerchantStore(database).create(other)
    second = await payments.record(sold(new_payment, merchant_id=other.id, product_id=UPGRADED))
    moved = upgrade(bought.purchase, second)

    await payments.finalise(paid_by(second, moved))

    [_, lost] = await stored_events(bought.id)
    data = data_of(lost)
    assert (data["status"], data["has_access"]) == ("moved", False)
    assert (data["moved_to"], data["changed_transaction_id"], data["raw_type"]) == (None,) * 3
    for secret in (other.id, str(second.id), moved.transaction_id, UPGRADED):
        assert secret not in lost["data"]


async def test_two_payments_that_take_a_chain_from_each_other_both_end(
    payments: PaymentStore,
    entitlements: EntitlementStore,
    bought: Payment,
    new_payment: NewPayment,
    stored_events: EventRows,
) -> None:
    """Each locks the other's row for its event; in one order, so that neither is aborted."""
    assert bought.purchase is not None
    second = await payments.record(sold(new_payment))
    await payments.finalise(paid_by(second, purchase(second.id)))
    chain = bought.purchase
    turns = [
        (payment, renewal(chain, period).model_copy(update={"token": payment.id}))
        for period, payment in enumerate([second, bought] * 6, start=1)
    ]

    await asyncio.gather(
        *(
            entitlements.apply(payment.id, f"report-{number}", word(Change.RENEWED, found))
            for number, (payment, found) in enumerate(turns)
        )
    )

    kept = await entitlements.get(chain)
    assert kept is not None
    assert (kept.transaction_id, kept.payment_id) == (turns[-1][1].transaction_id, bought.id)
    rows = [*await stored_events(bought.id), *await stored_events(second.id)]
    moves = [data_of(row) for row in rows if data_of(row)["status"] == "moved"]
    assert moves, "whoever applied a later period first took the chain"
    assert all(move["moved_to"] != move["payment_id"] for move in moves)


async def _stored(payments: PaymentStore, payment: Payment) -> Payment:
    found = await payments.get(payment.id)
    assert found is not None
    return found
