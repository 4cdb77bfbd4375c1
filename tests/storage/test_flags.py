from uuid import UUID

from domain.report import Attention
from storage.payments import PaymentStore
from tests.storage.making import EventRows, NewPayment, Paid, succeeded


async def test_a_flag_is_raised_once_and_notified_once(
    payments: PaymentStore, new_payment: NewPayment, stored_events: EventRows
) -> None:
    payment = await payments.record(new_payment())

    ids = {
        await payments.flag(payment.id, Attention.AMOUNT_MISMATCH, "paid 1, asked 1999")
        for _ in range(3)
    }

    [event] = await stored_events(payment.id)
    flagged = await payments.get(payment.id)
    assert ids == {event["id"]}
    assert '"attention": "amount_mismatch"' in event["data"]
    assert '"detail": "paid 1, asked 1999"' in event["data"]
    assert flagged is not None
    assert flagged.attention is Attention.AMOUNT_MISMATCH


async def test_flags_for_different_reasons_are_events_of_their_own_in_sequence(
    payments: PaymentStore, paid: Paid, stored_events: EventRows
) -> None:
    payment = await paid()

    await payments.flag(payment.id, Attention.CONTRADICTION, "first")
    await payments.flag(payment.id, Attention.OUTCOME_UNKNOWN, "second")
    await payments.flag(payment.id, Attention.CONTRADICTION, "first again")

    assert [row["sequence"] for row in await stored_events(payment.id)] == [1, 2, 3]


async def test_two_subjects_of_one_reason_are_notified_once_each(
    payments: PaymentStore, paid: Paid, stored_events: EventRows
) -> None:
    payment = await paid()
    why = Attention.EXTERNAL_REFUND

    async def flag(subject: str | None) -> UUID | None:
        return await payments.flag(payment.id, why, f"the console: {subject}", subject=subject)

    first, second = await flag("refund-1"), await flag("refund-2")
    unnamed = await payments.flag(payment.id, why, "the console")
    again = [await flag("refund-1"), await flag("refund-2"), await flag(None)]

    told = await stored_events(payment.id)
    assert [row["id"] for row in told[1:]] == [first, second, unnamed] == again
    assert [row["sequence"] for row in told] == [1, 2, 3, 4]


async def test_a_flag_of_another_reason_stays_up(
    payments: PaymentStore, new_payment: NewPayment
) -> None:
    payment = await payments.record(new_payment())
    await payments.flag(payment.id, Attention.EXTERNAL_REFUND, "the console")

    await payments.clear(payment.id, Attention.OUTCOME_UNKNOWN)
    flagged = await payments.get(payment.id)
    await payments.clear(payment.id, Attention.EXTERNAL_REFUND)

    assert flagged is not None
    assert flagged.attention is Attention.EXTERNAL_REFUND
    assert await payments.get(payment.id) == payment


async def test_a_cleared_flag_is_gone_and_its_event_stays(
    payments: PaymentStore, new_payment: NewPayment, stored_events: EventRows
) -> None:
    payment = await payments.record(new_payment())
    await payments.flag(payment.id, Attention.CONTRADICTION, "paid, then closed")

    await payments.clear(payment.id)
    await payments.clear(payment.id)

    assert await payments.get(payment.id) == payment
    assert len(await stored_events(payment.id)) == 1


async def test_a_success_after_a_flag_reports_the_flag_as_it_stands(
    payments: PaymentStore, new_payment: NewPayment, stored_events: EventRows
) -> None:
    payment = await payments.record(new_payment())
    await payments.flag(payment.id, Attention.OUTCOME_UNKNOWN, "silence")

    await payments.finalise(succeeded(payment))

    assert '"attention": "outcome_unknown"' in (await stored_events(payment.id))[1]["data"]
