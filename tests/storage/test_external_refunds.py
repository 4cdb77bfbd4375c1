"""Refunds that were made at a provider's console, recorded by an operator or a notification."""

import asyncio

import pytest

from domain.errors import Conflict, NotFound
from domain.event import EventType
from domain.payment import Payment
from domain.refund import RefundCause, RefundStatus
from domain.report import Attention
from storage.payments import PaymentStore
from storage.refunds import RefundStore
from tests.domain.making import at_console
from tests.storage.making import EventRows, NewPayment, NewRefund, Paid, ended


async def read(payments: PaymentStore, payment: Payment) -> Payment:
    found = await payments.get(payment.id)
    assert found is not None
    return found


async def test_it_lowers_what_is_refundable_and_settles_its_attention(
    payments: PaymentStore, refunds: RefundStore, paid: Paid, stored_events: EventRows
) -> None:
    payment = await paid(amount=1000)
    await payments.flag(payment.id, Attention.EXTERNAL_REFUND, "after the end")

    refund, event = await refunds.record_external(at_console(payment, 300))

    row = await read(payments, payment)
    assert (row.refunded, row.refund_reserved, row.refundable) == (300, 0, 700)
    assert row.attention is None
    assert (refund.status, refund.cause) == (RefundStatus.SUCCEEDED, RefundCause.PROVIDER)
    last = (await stored_events(payment.id))[-1]
    assert (last["id"], last["type"], last["refund_id"]) == (
        event,
        EventType.REFUND_SUCCEEDED,
        refund.id,
    )


async def test_a_notification_that_comes_after_its_refund_was_recorded_flags_nothing(
    payments: PaymentStore, refunds: RefundStore, paid: Paid, stored_events: EventRows
) -> None:
    payment = await paid(amount=1000)
    await refunds.record_external(at_console(payment, 300))
    before = await stored_events(payment.id)

    late = await payments.flag(payment.id, Attention.EXTERNAL_REFUND, "300", refunded=300)

    assert late is None
    assert (await read(payments, payment)).attention is None
    assert await stored_events(payment.id) == before
    assert await payments.flag(payment.id, Attention.EXTERNAL_REFUND, "301", refunded=301)
    assert (await read(payments, payment)).attention is Attention.EXTERNAL_REFUND


async def test_another_attention_stays(
    payments: PaymentStore, refunds: RefundStore, paid: Paid
) -> None:
    payment = await paid(amount=1000)
    await payments.flag(payment.id, Attention.CONTRADICTION, "another payment's number")

    await refunds.record_external(at_console(payment, 300))

    assert (await read(payments, payment)).attention is Attention.CONTRADICTION


async def test_the_same_number_counts_once_however_often_and_at_the_same_time(
    payments: PaymentStore, refunds: RefundStore, paid: Paid, stored_events: EventRows
) -> None:
    payment = await paid(amount=1000)

    first = await asyncio.gather(
        *(refunds.record_external(at_console(payment, 300)) for _ in range(8))
    )
    again = await refunds.record_external(at_console(payment, 300, raw_status="REFUND"))

    assert {event for _, event in (*first, again)} == {again[1]}
    assert (await read(payments, payment)).refunded == 300
    kinds = [row["type"] for row in await stored_events(payment.id)]
    assert kinds.count(EventType.REFUND_SUCCEEDED) == 1


async def test_the_same_number_with_another_amount_is_refused(
    payments: PaymentStore, refunds: RefundStore, paid: Paid
) -> None:
    payment = await paid(amount=1000)
    await refunds.record_external(at_console(payment, 300))

    with pytest.raises(Conflict, match="recorded with 300") as refused:
        await refunds.record_external(at_console(payment, 400))

    assert refused.value.code == "already_recorded"
    assert (await read(payments, payment)).refunded == 300


async def test_a_refund_of_ours_is_not_recorded_a_second_time(
    payments: PaymentStore, refunds: RefundStore, paid: Paid, new_refund: NewRefund
) -> None:
    payment = await paid(amount=1000)
    ours = await refunds.reserve(new_refund(payment, 300))
    await refunds.finalise(ended(ours).model_copy(update={"provider_reference": "5030"}))

    for number in (ours.reference, "5030"):
        with pytest.raises(Conflict, match=str(ours.id)):
            await refunds.record_external(at_console(payment, 300, number=number))

    assert (await read(payments, payment)).refunded == 300


async def test_more_than_is_refundable_is_refused_whole(
    payments: PaymentStore, refunds: RefundStore, paid: Paid, new_refund: NewRefund
) -> None:
    payment = await paid(amount=1000)
    await refunds.reserve(new_refund(payment, 800))

    with pytest.raises(Conflict, match="200 is refundable") as refused:
        await refunds.record_external(at_console(payment, 300))

    assert refused.value.code == "refund_exceeds_captured"
    row = await read(payments, payment)
    assert (row.refunded, row.refund_reserved) == (0, 800)
    assert len(await refunds.list_for_payment(payment.id)) == 1


async def test_what_was_never_paid_has_no_refunds(
    payments: PaymentStore, refunds: RefundStore, new_payment: NewPayment
) -> None:
    pending = await payments.record(new_payment())

    with pytest.raises(Conflict) as refused:
        await refunds.record_external(at_console(pending, 300))
    with pytest.raises(NotFound):
        await refunds.record_external(at_console(new_payment(), 300))

    assert refused.value.code == "payment_not_paid"


async def test_the_same_number_at_two_payments_is_two_refunds(
    refunds: RefundStore, paid: Paid
) -> None:
    one, other = await paid(amount=1000), await paid(amount=1000)

    stored = [(await refunds.record_external(at_console(each, 300)))[0] for each in (one, other)]

    assert stored[0].id != stored[1].id
    assert [refund.payment_id for refund in stored] == [one.id, other.id]
