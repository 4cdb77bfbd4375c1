"""Refunds that a store makes and takes back by itself."""

import asyncio
from datetime import timedelta

import pytest

from domain.entitlement import EntitlementStatus
from domain.payment import Payment, PaymentStatus
from domain.refund import RefundStatus
from domain.store_change import Change
from storage.entitlements import EntitlementStore
from storage.payments import PaymentStore
from storage.refunds import RefundStore
from tests.storage.making import EventRows, NewPayment
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
    stored,
    word,
)


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


@pytest.mark.parametrize(("share", "amount"), [(None, 1800), (40_000, 720), (1, 0)])
async def test_a_purchase_first_seen_after_its_refund_is_recorded_as_paid_and_refunded(
    payments: PaymentStore,
    refunds: RefundStore,
    entitlements: EntitlementStore,
    new_payment: NewPayment,
    stored_events: EventRows,
    share: int | None,
    amount: int,
) -> None:
    payment = await payments.record(sold(new_payment))
    bought = purchase(payment.id)
    notified = refunded(bought, after=DAY, share=share)
    assert notified.purchase is not None
    queried = notified.purchase.model_copy(update={"signed_at": BOUGHT + 2 * DAY})

    finals = [await payments.finalise(paid_by(payment, queried)) for _ in range(2)]
    # Signed before the answer of the query, delivered after it.
    await entitlements.apply(payment.id, "w1", notified)

    row = await stored(payments, payment)
    assert (row.status, row.captured, row.refunded) == (PaymentStatus.SUCCEEDED, 1800, amount)
    assert finals[0][0] == row
    made = await refunds.list_for_payment(payment.id)
    assert [refund.amount for refund in made] == [amount] * bool(amount)
    sent = [stored_event["type"] for stored_event in await stored_events(payment.id)]
    assert sent == ["payment.succeeded"] + ["refund.succeeded"] * bool(amount)
    assert len(await payments.find_refund_events(row)) == len(made)


async def test_late_money_that_the_store_had_refunded_is_no_money_to_accept(
    payments: PaymentStore, new_payment: NewPayment
) -> None:
    payment = await payments.record(sold(new_payment))
    closed, _ = await payments.finalise(payment.model_copy(update={"status": PaymentStatus.CLOSED}))
    found = refunded(purchase(payment.id)).purchase
    assert found is not None

    late = await payments.capture_late(paid_late_by(closed, found))
    accepted, event_id = await payments.accept_late(payment.id)

    assert (late.captured, late.refunded) == (1800, 1800)
    assert (accepted.status, event_id) == (PaymentStatus.CLOSED, None)
    assert len(await payments.find_refund_events(accepted)) == 1


async def test_a_refund_notified_twice_by_two_reports_is_one(
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


async def test_reports_that_come_in_the_wrong_order_leave_the_newest(
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


async def test_a_refund_of_a_renewal_is_notified_and_moves_nothing_of_the_payment(
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
