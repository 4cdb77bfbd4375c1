"""Grants: each of a store's transactions once, with the money that it stands for."""

import asyncio

import asyncpg
import pytest

from domain.entitlement import EntitlementStatus
from domain.errors import ReportMismatch
from domain.payment import Payment, PaymentStatus
from storage.entitlements import EntitlementStore
from storage.payments import PaymentStore
from storage.refunds import RefundStore
from tests.storage.making import EventRows, NewPayment, closed
from tests.storage.raw import refused
from tests.storage.selling import (
    paid_by,
    paid_late_by,
    purchase,
    refunded,
    sold,
    stored,
)


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


async def test_an_unknown_purchase_has_no_owner(entitlements: EntitlementStore) -> None:
    nobodys = purchase(None)
    owners = await entitlements.owners(nobodys)

    assert (owners.transaction, owners.chain) == (None, None)
    assert await entitlements.get(nobodys) is None


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("grants_fixed", "quantity = 7"),
        ("grants_fixed", "app = 'com.example.other/Sandbox'"),
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
    with refused(f"{table}_not_removable"):
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
