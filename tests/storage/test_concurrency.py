import asyncio
import random
from collections.abc import Awaitable, Sequence
from typing import TypeVar

import asyncpg
import pytest

from domain.errors import Conflict
from domain.identity import event_id
from domain.payment import PaymentStatus
from domain.refund import Refund, RefundStatus
from domain.report import Attention
from storage.payments import PaymentStore
from storage.refunds import RefundStore
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
from tests.storage.raw import locked

Answer = TypeVar("Answer")


async def together(calls: Sequence[Awaitable[Answer]]) -> list[Answer]:
    return list(await asyncio.gather(*calls))


async def test_fifty_parallel_records_of_one_request_make_one_row(
    payments: PaymentStore, new_payment: NewPayment
) -> None:
    payment = new_payment()

    assert await together([payments.record(payment) for _ in range(50)]) == [payment] * 50


async def test_repeats_that_meet_in_another_index_than_the_ids_are_repeats_too(
    payments: PaymentStore, new_payment: NewPayment
) -> None:
    """A matter of microseconds: one in a thousand met there."""
    for _ in range(60):
        payment = new_payment()
        assert await together([payments.record(payment) for _ in range(16)]) == [payment] * 16


async def test_two_requests_racing_for_one_key_leave_one_stored_and_the_other_refused(
    payments: PaymentStore, new_payment: NewPayment
) -> None:
    first = new_payment()
    second = first.model_copy(update={"amount": 1, "request_hash": "e" * 64})

    answers = await asyncio.gather(
        *(payments.record(payment) for payment in [first, second] * 10), return_exceptions=True
    )

    kept = await payments.get(first.id)
    assert kept in (first, second)
    assert answers.count(kept) == 10
    codes = {answer.code for answer in answers if isinstance(answer, Conflict)}
    assert codes == {"idempotency_key_reused"}


async def test_two_hundred_parallel_finalises_make_one_event(
    payments: PaymentStore, new_payment: NewPayment, stored_events: EventRows
) -> None:
    payment = succeeded(await payments.record(new_payment()))

    answers = await together([payments.finalise(payment) for _ in range(200)])

    assert answers == [(payment, event_id(payment.id, "succeeded"))] * 200
    assert len(await stored_events(payment.id)) == 1


async def test_success_and_closure_racing_leave_one_of_them_and_one_event(
    payments: PaymentStore, new_payment: NewPayment, stored_events: EventRows
) -> None:
    for _ in range(10):
        payment = await payments.record(new_payment())

        answers = await together(
            [payments.finalise(change(payment)) for change in (succeeded, closed) * 5]
        )

        assert len({str(answer) for answer in answers}) == 1
        assert len(await stored_events(payment.id)) == 1


@pytest.mark.parametrize("rivals", [2, 10])
async def test_payments_of_one_order_finalised_together_leave_exactly_one_that_is_no_duplicate(
    payments: PaymentStore, new_payment: NewPayment, rivals: int
) -> None:
    for round_no in range(10):
        order_no = f"race-{round_no}"
        rows = [await payments.record(new_payment(order_no=order_no)) for _ in range(rivals)]

        answers = await together([payments.finalise(succeeded(row)) for row in rows])

        assert [payment.status for payment, _ in answers] == [PaymentStatus.SUCCEEDED] * rivals
        assert sum(not payment.duplicate for payment, _ in answers) == 1


async def test_a_late_acceptance_and_a_success_of_one_order_leave_one_that_is_no_duplicate(
    payments: PaymentStore, new_payment: NewPayment
) -> None:
    for round_no in range(10):
        order_no = f"late-race-{round_no}"
        late = await payments.record(new_payment(order_no=order_no))
        other = await payments.record(new_payment(order_no=order_no))
        await payments.finalise(closed(late))
        await payments.capture_late(paid_late(closed(late)))

        answers = await together(
            [payments.accept_late(late.id), payments.finalise(succeeded(other))]
        )

        assert sum(not payment.duplicate for payment, _ in answers) == 1


async def test_late_money_is_either_accepted_or_refunded_never_both(
    payments: PaymentStore, refunds: RefundStore, new_payment: NewPayment, new_refund: NewRefund
) -> None:
    for _ in range(20):
        payment = closed(await payments.record(new_payment()))
        await payments.finalise(payment)
        late = await payments.capture_late(paid_late(payment))
        refund = new_refund(late, late.amount)

        (accepted, event), reserved = await asyncio.gather(
            payments.accept_late(late.id), refunds.reserve(refund)
        )

        # A refund of an accepted payment is lawful; accepting money that is leaving is not.
        assert reserved == refund
        assert (event is None) == (accepted.status is PaymentStatus.CLOSED)


async def test_fifty_parallel_refunds_of_random_size_never_exceed_what_was_captured(
    payments: PaymentStore, refunds: RefundStore, paid: Paid, new_refund: NewRefund
) -> None:
    payment = await paid(amount=1000)
    asked = [new_refund(payment, random.randint(1, 120)) for _ in range(50)]  # noqa: S311 - sizes

    answers = await asyncio.gather(
        *(refunds.reserve(refund) for refund in asked), return_exceptions=True
    )

    granted = [answer.amount for answer in answers if isinstance(answer, Refund)]
    refused = [
        refund.amount
        for refund, answer in zip(asked, answers, strict=True)
        if isinstance(answer, Conflict)
    ]
    after = await payments.get(payment.id)
    assert len(granted) + len(refused) == 50
    assert after is not None
    assert after.refund_reserved == sum(granted) <= 1000
    # What is left only shrinks, so whoever was refused would not fit now either.
    assert all(after.refundable < amount for amount in refused)


async def test_one_refund_reserved_and_settled_by_many_at_once_moves_its_money_once(
    payments: PaymentStore,
    refunds: RefundStore,
    paid: Paid,
    new_refund: NewRefund,
    stored_events: EventRows,
) -> None:
    payment = await paid(amount=1000)
    refund = new_refund(payment, 400)

    async def whole_life() -> None:
        await refunds.finalise(ended(await refunds.reserve(refund)))

    await together([whole_life() for _ in range(50)])

    after = await payments.get(payment.id)
    assert after is not None
    assert (after.refund_reserved, after.refunded) == (0, 400)
    assert len(await stored_events(payment.id)) == 2


async def test_repeats_of_a_refund_that_all_waited_for_the_payment_hold_its_money_once(
    payments: PaymentStore,
    refunds: RefundStore,
    paid: Paid,
    new_refund: NewRefund,
    sql: asyncpg.Connection,
) -> None:
    payment = await paid(amount=1000)
    refund = new_refund(payment, 400)

    async with locked(sql, payment.id) as until_waiting:
        calls = [asyncio.create_task(refunds.reserve(refund)) for _ in range(5)]
        await until_waiting(5)
    answers = await together(calls)

    after = await payments.get(payment.id)
    assert answers == [refund] * 5
    assert after is not None
    assert after.refund_reserved == 400


async def test_a_settlement_that_waited_behind_another_changes_nothing(
    payments: PaymentStore,
    refunds: RefundStore,
    paid: Paid,
    new_refund: NewRefund,
    sql: asyncpg.Connection,
) -> None:
    payment = await paid(amount=1000)
    refund = await refunds.reserve(new_refund(payment, 400))
    both = [ended(refund), ended(refund, RefundStatus.FAILED)]

    async with locked(sql, payment.id) as until_waiting:
        calls = [asyncio.create_task(refunds.finalise(end)) for end in both * 2]
        await until_waiting(4)
    answers = await together(calls)

    assert len({settled.status for settled, _ in answers}) == 1


async def test_success_and_failure_of_a_refund_racing_leave_one_of_them(
    payments: PaymentStore,
    refunds: RefundStore,
    paid: Paid,
    new_refund: NewRefund,
    stored_events: EventRows,
) -> None:
    for _ in range(10):
        payment = await paid(amount=1000)
        refund = await refunds.reserve(new_refund(payment, 400))

        answers = await together(
            [
                refunds.finalise(ended(refund, status))
                for status in (RefundStatus.SUCCEEDED, RefundStatus.FAILED) * 5
            ]
        )

        after = await payments.get(payment.id)
        [status] = {settled.status for settled, _ in answers}
        assert after is not None
        assert after.refund_reserved == 0
        assert after.refunded == (400 if status is RefundStatus.SUCCEEDED else 0)
        assert len(await stored_events(payment.id)) == 2


async def test_events_of_everything_at_once_are_numbered_without_gaps(
    payments: PaymentStore,
    refunds: RefundStore,
    paid: Paid,
    new_refund: NewRefund,
    sql: asyncpg.Connection,
) -> None:
    payment = await paid(amount=1000)
    held = [await refunds.reserve(new_refund(payment, 50)) for _ in range(15)]

    await asyncio.gather(
        *(refunds.finalise(ended(refund)) for refund in held[:10]),
        *(refunds.flag(refund.id, Attention.REFUND_ABNORMAL, "") for refund in held[5:]),
        *(payments.flag(payment.id, Attention.CONTRADICTION, "") for _ in range(10)),
        *(payments.flag(payment.id, Attention.EXTERNAL_REFUND, "") for _ in range(10)),
    )

    numbers = await sql.fetch(
        "SELECT sequence FROM events WHERE payment_id = $1 ORDER BY 1", payment.id
    )
    last = await sql.fetchval("SELECT last_sequence FROM payments WHERE id = $1", payment.id)
    # The success, ten refunds, ten flags of refunds and two of the payment.
    assert [row["sequence"] for row in numbers] == list(range(1, 24))
    assert last == 23
