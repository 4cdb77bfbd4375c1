"""Grants, entitlements and a store's refunds: once each, with the money and the event."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from domain.entitlement import EntitlementStatus
from domain.errors import Conflict, NotFound, ReportMismatch
from domain.payment import Payment, PaymentStatus
from domain.refund import RefundStatus
from domain.store_change import Change, StoreChange
from storage.database import Database
from storage.entitlements import NOT_PAID_YET, EntitlementStore
from storage.payments import PaymentStore
from storage.refunds import RefundStore
from tests.storage.making import EventRows, NewPayment, closed
from tests.storage.raw import refused
from tests.storage.selling import (
    BOUGHT,
    DAY,
    MONTH,
    paid_by,
    paid_late_by,
    purchase,
    refunded,
    renewal,
    sold,
    word,
)


@pytest.fixture
def entitlements(database: Database) -> EntitlementStore:
    return EntitlementStore(database)


@pytest.fixture
async def bought(payments: PaymentStore, new_payment: NewPayment) -> Payment:
    """A payment that its purchase has paid."""
    payment = await payments.record(sold(new_payment))
    paid = paid_by(payment, purchase(payment.id))
    await payments.finalise(paid)
    return paid


async def stored(payments: PaymentStore, payment: Payment) -> Payment:
    found = await payments.get(payment.id)
    assert found is not None
    return found


async def test_a_product_and_its_number_read_back(
    payments: PaymentStore, new_payment: NewPayment
) -> None:
    payment = sold(new_payment, quantity=3)

    assert await payments.record(payment) == payment


async def test_the_money_comes_with_the_grant_and_the_entitlement(
    payments: PaymentStore, entitlements: EntitlementStore, bought: Payment, sql: asyncpg.Connection
) -> None:
    found = bought.purchase
    assert found is not None
    [entitlement] = await entitlements.list_for_payment(bought.id)

    assert (entitlement.status, entitlement.payment_id) == (EntitlementStatus.ACTIVE, bought.id)
    assert await entitlements.get(found) == entitlement
    row = await sql.fetchrow("SELECT * FROM grants WHERE payment_id = $1", bought.id)
    assert (row["transaction_id"], row["price"], row["storefront"]) == (
        found.transaction_id,
        2_990,
        "USA",
    )
    assert (await stored(payments, bought)).purchase is None


async def test_finalising_again_grants_nothing_again(
    payments: PaymentStore, bought: Payment, stored_events: EventRows, sql: asyncpg.Connection
) -> None:
    await asyncio.gather(*(payments.finalise(bought) for _ in range(4)))

    assert await sql.fetchval("SELECT count(*) FROM grants WHERE payment_id = $1", bought.id) == 1
    assert len(await stored_events(bought.id)) == 1


async def test_a_purchase_pays_one_payment_only(
    payments: PaymentStore,
    entitlements: EntitlementStore,
    bought: Payment,
    new_payment: NewPayment,
) -> None:
    assert bought.purchase is not None
    other = await payments.record(sold(new_payment))

    with pytest.raises(ReportMismatch):
        await payments.finalise(paid_by(other, bought.purchase))

    assert (await stored(payments, other)).status is PaymentStatus.PENDING
    assert await entitlements.list_for_payment(other.id) == []


async def test_what_another_has_claimed_takes_the_money_of_nobody(
    payments: PaymentStore, entitlements: EntitlementStore, new_payment: NewPayment
) -> None:
    first, second = [await payments.record(sold(new_payment)) for _ in range(2)]
    found = purchase(None)
    await entitlements.claim(first.id, found)
    await entitlements.claim(first.id, found)

    with pytest.raises(ReportMismatch) as refusal:
        await entitlements.claim(second.id, found)
    assert refusal.value.code == "purchase_claimed"
    with pytest.raises(ReportMismatch):
        await payments.finalise(paid_by(second, found))
    assert (await stored(payments, second)).status is PaymentStatus.PENDING
    assert (await stored(payments, first)).provider_reference == found.transaction_id
    settled, _ = await payments.finalise(paid_by(first, found))
    assert settled.status is PaymentStatus.SUCCEEDED


async def test_of_many_claims_at_once_one_wins(
    payments: PaymentStore, entitlements: EntitlementStore, new_payment: NewPayment
) -> None:
    found = purchase(None)
    many = [await payments.record(sold(new_payment)) for _ in range(6)]

    results = await asyncio.gather(
        *(entitlements.claim(each.id, found) for each in many), return_exceptions=True
    )

    assert sum(result is None for result in results) == 1
    owners = await entitlements.owners(found)
    assert owners.transaction in {each.id for each in many}
    assert owners.chain is None


async def test_late_money_is_granted_too(
    payments: PaymentStore, entitlements: EntitlementStore, new_payment: NewPayment
) -> None:
    payment = await payments.record(sold(new_payment))
    await payments.finalise(closed(payment))
    late = paid_late_by(payment, purchase(payment.id))

    for _ in range(2):
        assert (await payments.capture_late(late)).late
    accepted, _ = await payments.accept_late(payment.id)

    assert accepted.status is PaymentStatus.SUCCEEDED
    assert len(await entitlements.list_for_payment(payment.id)) == 1


async def test_late_money_of_anothers_purchase_is_refused(
    payments: PaymentStore, bought: Payment, new_payment: NewPayment
) -> None:
    assert bought.purchase is not None
    payment = await payments.record(sold(new_payment))
    await payments.finalise(closed(payment))

    with pytest.raises(ReportMismatch):
        await payments.capture_late(paid_late_by(payment, bought.purchase))
    assert (await stored(payments, payment)).captured == 0


async def test_two_purchases_of_one_order_are_both_granted_and_one_is_the_duplicate(
    payments: PaymentStore, entitlements: EntitlementStore, new_payment: NewPayment
) -> None:
    for number in range(4):
        pair = [
            await payments.record(sold(new_payment, order_no=f"same-{number}")) for _ in range(2)
        ]
        ends = await asyncio.gather(
            *(payments.finalise(paid_by(each, purchase(each.id))) for each in pair)
        )

        assert [settled.status for settled, _ in ends] == [PaymentStatus.SUCCEEDED] * 2
        assert sorted(settled.duplicate for settled, _ in ends) == [False, True]
        for each in pair:
            assert len(await entitlements.list_for_payment(each.id)) == 1


async def test_a_word_waits_for_the_payments_money(
    payments: PaymentStore, entitlements: EntitlementStore, new_payment: NewPayment
) -> None:
    payment = await payments.record(sold(new_payment))
    said = refunded(purchase(payment.id))

    with pytest.raises(Conflict) as refusal:
        await entitlements.apply(payment.id, "w", said)
    assert refusal.value.code == NOT_PAID_YET


async def test_a_word_about_nothing_or_nobody_is_refused(
    entitlements: EntitlementStore, bought: Payment
) -> None:
    assert bought.purchase is not None
    silent = StoreChange(change=Change.RECORDED, raw_type="TEST", signed_at=BOUGHT)

    with pytest.raises(NotFound):
        await entitlements.apply(bought.id, "w", silent)
    with pytest.raises(NotFound):
        await entitlements.apply(
            purchase(None).token or bought.id.__class__(int=7), "w", refunded(bought.purchase)
        )


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


async def test_a_word_that_changes_nothing_is_no_event(
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


@pytest.mark.parametrize(
    ("share", "amount"),
    [(None, 1800), (100_000, 1800), (40_000, 720), (33_333, 599), (1, 0)],
)
async def test_a_refund_by_the_store_moves_its_share(
    payments: PaymentStore,
    entitlements: EntitlementStore,
    bought: Payment,
    share: int | None,
    amount: int,
) -> None:
    assert bought.purchase is not None
    said = refunded(bought.purchase, share=share)
    applied = [await entitlements.apply(bought.id, "w1", said) for _ in range(2)]

    assert applied[0].entitlement.status is EntitlementStatus.REFUNDED
    assert applied[0].event_ids == applied[1].event_ids
    assert (await stored(payments, bought)).refunded == amount


async def test_a_refund_told_twice_by_two_words_is_one(
    payments: PaymentStore, refunds: RefundStore, entitlements: EntitlementStore, bought: Payment
) -> None:
    assert bought.purchase is not None
    said = refunded(bought.purchase)
    await asyncio.gather(
        *(entitlements.apply(bought.id, f"w{number}", said) for number in range(5))
    )

    assert len(await refunds.list_for_payment(bought.id)) == 1
    assert (await stored(payments, bought)).refunded == 1800


async def test_a_refund_taken_back_and_made_again_is_another_refund(
    payments: PaymentStore,
    refunds: RefundStore,
    entitlements: EntitlementStore,
    bought: Payment,
    stored_events: EventRows,
) -> None:
    assert bought.purchase is not None
    words = [
        refunded(bought.purchase, after=DAY),
        word(Change.REFUND_REVERSED, bought.purchase, after=2 * DAY),
        refunded(bought.purchase, after=3 * DAY, share=50_000),
        refunded(bought.purchase, after=4 * DAY, share=75_000),
    ]
    sums = []
    for number, said in enumerate(words):
        for _ in range(2):
            await entitlements.apply(bought.id, f"w{number}", said)
        sums.append((await stored(payments, bought)).refunded)

    assert sums == [1800, 0, 900, 1350]
    ends = [
        (each.status, each.amount)
        for each in sorted(await refunds.list_for_payment(bought.id), key=lambda r: r.created_at)
    ]
    assert ends == [
        (RefundStatus.REVERSED, 1800),
        (RefundStatus.SUCCEEDED, 900),
        (RefundStatus.SUCCEEDED, 450),
    ]
    types = [row["type"] for row in await stored_events(bought.id)]
    assert types.count("refund.succeeded") == 3
    assert types.count("refund.reversed") == 1


async def test_a_smaller_share_than_before_takes_the_first_back_and_gives_the_smaller(
    payments: PaymentStore, entitlements: EntitlementStore, bought: Payment
) -> None:
    assert bought.purchase is not None
    await entitlements.apply(bought.id, "w1", refunded(bought.purchase, after=DAY))
    smaller = refunded(bought.purchase, after=2 * DAY, share=10_000)
    await entitlements.apply(bought.id, "w2", smaller)

    assert (await stored(payments, bought)).refunded == 180


async def test_words_that_come_in_the_wrong_order_leave_the_newest(
    payments: PaymentStore, entitlements: EntitlementStore, bought: Payment
) -> None:
    assert bought.purchase is not None
    reversal = word(Change.REFUND_REVERSED, bought.purchase, after=2 * DAY)
    await entitlements.apply(bought.id, "w2", reversal)
    await entitlements.apply(bought.id, "w1", refunded(bought.purchase, after=DAY))

    assert (await stored(payments, bought)).refunded == 0
    found = await entitlements.get(bought.purchase)
    assert found is not None
    assert found.status is EntitlementStatus.ACTIVE


async def test_a_refund_of_a_renewal_is_told_and_moves_nothing_of_the_payment(
    payments: PaymentStore,
    refunds: RefundStore,
    entitlements: EntitlementStore,
    bought: Payment,
) -> None:
    assert bought.purchase is not None
    first, second = renewal(bought.purchase), renewal(bought.purchase, 2)
    for number, said in enumerate((first, second)):
        await entitlements.apply(bought.id, f"r{number}", word(Change.RENEWED, said))
    applied = await entitlements.apply(
        bought.id, "w", refunded(first, after=MONTH + timedelta(days=2))
    )

    assert len(applied.event_ids) == 1
    assert applied.entitlement.status is EntitlementStatus.ACTIVE
    assert await refunds.list_for_payment(bought.id) == []
    assert (await stored(payments, bought)).refunded == 0


async def test_a_buyer_who_comes_back_brings_the_chain_to_the_new_payment(
    payments: PaymentStore,
    entitlements: EntitlementStore,
    bought: Payment,
    new_payment: NewPayment,
) -> None:
    assert bought.purchase is not None
    again = await payments.record(sold(new_payment))
    back = renewal(bought.purchase, 3).model_copy(update={"renewal": False, "token": again.id})
    await payments.finalise(paid_by(again, back))

    found = await entitlements.get(back)
    assert found is not None
    assert (found.payment_id, found.transaction_id) == (again.id, back.transaction_id)
    owners = await entitlements.owners(bought.purchase)
    assert (owners.transaction, owners.chain) == (bought.id, again.id)
    # The first payment's money is still its own.
    late = refunded(bought.purchase, after=4 * MONTH)
    await entitlements.apply(bought.id, "w", late)
    assert (await stored(payments, bought)).refunded == 1800
    assert (await stored(payments, again)).refunded == 0


async def test_an_unknown_purchase_has_no_owner(entitlements: EntitlementStore) -> None:
    nobodys = purchase(None)
    owners = await entitlements.owners(nobodys)

    assert (owners.transaction, owners.chain) == (None, None)
    assert await entitlements.get(nobodys) is None


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("grants_fixed", "quantity = 7"),
        ("grants_fixed", "product_id = 'gold'"),
        ("grants_share_of_a_whole", "revoked_share = 100001"),
        ("grants_product_type_known", "product_type = 'gift'"),
    ],
)
async def test_a_grant_stays_what_it_was(
    bought: Payment, sql: asyncpg.Connection, rule: str, change: str
) -> None:
    with refused(rule):
        await sql.execute(
            f"UPDATE grants SET {change} WHERE payment_id = $1",  # noqa: S608 - a test's own
            bought.id,
        )


@pytest.mark.parametrize("table", ["grants", "entitlements"])
async def test_nothing_of_a_sale_is_removed(
    bought: Payment, sql: asyncpg.Connection, table: str
) -> None:
    with refused(f"{table}_kept_for_ever"):
        await sql.execute(f"DELETE FROM {table} WHERE payment_id = $1", bought.id)  # noqa: S608


async def test_an_entitlement_rests_on_a_grant(bought: Payment, sql: asyncpg.Connection) -> None:
    with refused("entitlements_newest_is_granted"):
        await sql.execute(
            "UPDATE entitlements SET transaction_id = 'none' WHERE payment_id = $1", bought.id
        )


async def test_only_a_stores_refund_is_taken_back(
    refunds: RefundStore, entitlements: EntitlementStore, bought: Payment, sql: asyncpg.Connection
) -> None:
    assert bought.purchase is not None
    await entitlements.apply(bought.id, "w", refunded(bought.purchase))
    [made] = await refunds.list_for_payment(bought.id)
    with refused("payments_refunds_balance"):
        await sql.execute("UPDATE refunds SET status = 'reversed' WHERE id = $1", made.id)
    with refused("refunds_status_final"):
        await sql.execute("UPDATE refunds SET status = 'failed' WHERE id = $1", made.id)
