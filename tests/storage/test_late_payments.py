from datetime import timedelta

import pytest

from domain.errors import NotFound, ReportMismatch
from domain.event import DeliveryStatus
from domain.identity import event_id
from domain.payment import Payment, PaymentStatus
from domain.purchase import Offer
from domain.refund import RefundStatus
from domain.report import PaymentReport
from storage.database import Database
from storage.events import EventStore
from storage.payments import PaymentStore
from storage.refunds import RefundStore
from storage.unfinished import UnfinishedStore
from tests.storage.making import (
    EventRows,
    NewPayment,
    NewRefund,
    Paid,
    closed,
    ended,
    paid_late,
    succeeded,
)
from tests.storage.selling import purchase, sold


@pytest.fixture
async def shut(payments: PaymentStore, new_payment: NewPayment) -> Payment:
    """A payment that was closed unpaid."""
    final, _ = await payments.finalise(closed(await payments.record(new_payment())))
    return final


async def test_late_money_is_counted_once_and_the_status_stays(
    payments: PaymentStore, shut: Payment
) -> None:
    first = await payments.capture_late(paid_late(shut))
    second = await payments.capture_late(paid_late(shut))

    assert first == second == paid_late(shut)
    assert (first.status, first.late, first.captured) == (PaymentStatus.CLOSED, True, shut.amount)


async def test_late_money_for_a_pending_or_paid_payment_is_not_late(
    payments: PaymentStore, new_payment: NewPayment, paid: Paid
) -> None:
    pending, done = await payments.record(new_payment()), await paid()

    assert await payments.capture_late(succeeded(pending, late=True)) == pending
    assert await payments.capture_late(succeeded(done, late=True)) == done


async def test_an_accepted_late_payment_succeeds_with_one_event(
    payments: PaymentStore, shut: Payment, stored_events: EventRows
) -> None:
    late = await payments.capture_late(paid_late(shut))

    first = await payments.accept_late(shut.id)
    second = await payments.accept_late(shut.id)

    assert first == second == (late.accept_late(), event_id(shut.id, "succeeded"))
    types = [row["type"] for row in await stored_events(shut.id)]
    assert types == ["payment.closed", "payment.succeeded"]


async def test_an_accepted_late_payment_of_a_paid_order_is_a_duplicate(
    payments: PaymentStore, shut: Payment, paid: Paid
) -> None:
    await paid(order_no=shut.order_no)
    await payments.capture_late(paid_late(shut))

    accepted, _ = await payments.accept_late(shut.id)

    assert accepted.status is PaymentStatus.SUCCEEDED
    assert accepted.duplicate


async def test_a_closed_payment_without_money_cannot_be_accepted(
    payments: PaymentStore, shut: Payment
) -> None:
    assert await payments.accept_late(shut.id) == (shut, None)


@pytest.mark.parametrize("gone", [False, True])
async def test_late_money_on_its_way_back_cannot_be_accepted(
    payments: PaymentStore,
    refunds: RefundStore,
    new_refund: NewRefund,
    shut: Payment,
    *,
    gone: bool,
) -> None:
    late = await payments.capture_late(paid_late(shut))
    refund = await refunds.reserve(new_refund(late, late.amount))
    if gone:
        await refunds.finalise(ended(refund))

    refused, event = await payments.accept_late(shut.id)

    assert (refused.status, event) == (PaymentStatus.CLOSED, None)


async def test_late_money_whose_refund_failed_can_be_accepted_after_all(
    payments: PaymentStore, refunds: RefundStore, new_refund: NewRefund, shut: Payment
) -> None:
    late = await payments.capture_late(paid_late(shut))
    refund = await refunds.reserve(new_refund(late, late.amount))
    await refunds.finalise(ended(refund, RefundStatus.FAILED))

    accepted, event = await payments.accept_late(shut.id)

    assert (accepted.status, event) == (PaymentStatus.SUCCEEDED, event_id(shut.id, "succeeded"))


async def test_a_pending_payment_cannot_be_accepted_as_late(
    payments: PaymentStore, new_payment: NewPayment
) -> None:
    payment = await payments.record(new_payment())

    assert await payments.accept_late(payment.id) == (payment, None)


async def test_anothers_provider_reference_is_no_late_money(
    payments: PaymentStore, shut: Payment, paid: Paid
) -> None:
    other = await paid()
    stolen = paid_late(shut).model_copy(update={"provider_reference": other.provider_reference})

    with pytest.raises(ReportMismatch):
        await payments.capture_late(stolen)

    assert await payments.get(shut.id) == shut


async def test_a_payment_never_recorded_is_neither_late_nor_accepted(
    payments: PaymentStore, new_payment: NewPayment
) -> None:
    with pytest.raises(NotFound):
        await payments.capture_late(succeeded(new_payment(), late=True))
    with pytest.raises(NotFound):
        await payments.accept_late(new_payment().id)


async def test_a_late_purchase_for_nothing_is_counted_once_and_is_unfinished_until_accepted(
    payments: PaymentStore, new_payment: NewPayment, database: Database
) -> None:
    waiting = await payments.record(sold(new_payment))
    shut, _ = await payments.finalise(closed(waiting))
    free = purchase(shut.id, price=0, offer=Offer.INTRODUCTORY)
    late = shut.apply(PaymentReport.of_purchase(shut.reference, free, "SUBSCRIBED"))
    another = late.model_copy(update={"store_price": 1, "provider_reference": "2"})

    first = await payments.capture_late(late)
    second = await payments.capture_late(another)

    assert first == second
    assert (first.is_paid, first.captured, first.store_price) == (True, 0, 0)
    assert first.provider_reference == free.transaction_id
    unfinished = UnfinishedStore(database)
    later = shut.created_at + timedelta(days=1)
    assert [found.id for found in await unfinished.payments(later, only=[shut.id])] == [shut.id]
    accepted, _ = await payments.accept_late(shut.id)
    assert (accepted.status, accepted.captured) == (PaymentStatus.SUCCEEDED, 0)


async def test_one_purchase_for_nothing_pays_one_payment(
    payments: PaymentStore, new_payment: NewPayment
) -> None:
    one, other = [await payments.record(sold(new_payment)) for _ in range(2)]
    free = purchase(None, price=0)
    report = PaymentReport.of_purchase(one.reference, free, "SUBSCRIBED")
    await payments.finalise(one.apply(report))

    with pytest.raises(ReportMismatch):
        await payments.finalise(other.apply(report))


async def test_an_end_before_late_money_that_nobody_was_sent_is_found_by_the_sweep(
    database: Database, payments: PaymentStore, shut: Payment, stored_events: EventRows
) -> None:
    late = await payments.capture_late(paid_late(shut))
    soon = late.created_at + timedelta(days=365)
    unfinished = UnfinishedStore(database)

    assert await payments.unsent_end(late) is None
    accepted, _ = await payments.accept_late(late.id)
    earlier = event_id(late.id, PaymentStatus.CLOSED)
    assert await payments.unsent_end(accepted) == earlier
    assert [row.id for row in await unfinished.payments(soon, only=[late.id])] == [late.id]

    events = EventStore(database)
    await events.mark(earlier, DeliveryStatus.DELIVERED)
    assert await payments.unsent_end(accepted) is None
    # What the late workflow announces is none of the sweep's business.
    assert [row["delivery"] for row in await stored_events(late.id)][-1] == "waiting"
    assert await unfinished.payments(soon, only=[late.id]) == []
