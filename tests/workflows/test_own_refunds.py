"""Our own cancel and refunds, told by the provider: while the workflow runs, and after it."""

import asyncio

import pytest

from domain.own_refunds import (
    explained,
    is_cancelled,
    is_cancelled_in_store,
    refunded_without_cancel,
    unaccounted,
)
from domain.payment import Channel, Payment, PaymentStatus
from domain.report import Attention, Outcome, PaymentReport, RefundOutcome
from tests.domain import making
from tests.workflows.scripted import Fault, notification, report, unknown
from tests.workflows.shop import BRISK, PaymentRun, Shop
from workflows.payment import PaymentOrder


def undone(payment: Payment) -> PaymentReport:
    """What a cancel answers that gave back what the payer had just paid."""
    closed = report(payment, Outcome.CLOSED)
    return closed.model_copy(update={"refunded": payment.amount, "raw_status": "cancelled:refund"})


async def at_the_till(shop: Shop) -> tuple[PaymentOrder, PaymentRun, Payment]:
    order = await shop.order(channel=Channel.BARCODE, policy=BRISK)
    run, payment = await shop.pending(order)
    return order, run, payment


async def test_money_that_our_own_cancel_gave_back_is_neither_captured_nor_refunded_again(
    shop: Shop,
) -> None:
    order, run, payment = await at_the_till(shop)
    answered = asyncio.Event()
    shop.provider.script("close", payment.reference, Fault(report=undone(payment), gate=answered))
    cancelling = asyncio.create_task(shop.cancel(run))
    await shop.sent("close", payment.reference)

    # The payer paid in this moment, and the provider says so before it answers the cancel.
    await shop.notify(run, order)
    await asyncio.sleep(0.5)
    answered.set()

    await cancelling
    ended = await run.result()
    assert (ended.status, ended.captured, ended.late) == (PaymentStatus.CLOSED, 0, False)
    row = await shop.row(payment)
    assert (row.status, row.captured, row.attention) == (PaymentStatus.CLOSED, 0, None)
    assert row.raw_status == "cancelled:refund"
    assert shop.merchants.heard(payment) == ["payment.closed"]
    assert await shop.refunds.list_for_payment(payment.id) == []


async def test_money_heard_of_during_a_cancel_without_an_answer_is_not_taken_before_a_query(
    shop: Shop,
) -> None:
    order, run, payment = await at_the_till(shop)
    shop.provider.script("close", payment.reference, *[Fault(error=unknown())] * 99)
    shop.provider.script("query", payment.reference, Fault(report=undone(payment)))
    cancelling = asyncio.create_task(shop.cancel(run))
    await shop.sent("close", payment.reference)

    await shop.notify(run, order)

    await cancelling
    await run.result()
    row = await shop.row(payment)
    assert (row.status, row.captured, row.attention) == (PaymentStatus.CLOSED, 0, None)
    assert shop.merchants.heard(payment)[-1] == "payment.closed"


async def test_money_told_of_after_our_own_cancel_gave_it_back_calls_nobody(shop: Shop) -> None:
    order, run, payment = await at_the_till(shop)
    telling = shop.hangs(payment)
    shop.provider.script("close", payment.reference, Fault(report=undone(payment)))
    await shop.cancel(run)

    await shop.notify(run, order)
    telling.set()

    await run.result()
    row = await shop.row(payment)
    assert (row.status, row.captured, row.attention) == (PaymentStatus.CLOSED, 0, None)
    assert shop.merchants.heard(payment) == ["payment.closed"]
    assert await shop.refunds.list_for_payment(payment.id) == []


async def test_money_told_of_to_a_later_workflow_is_found_given_back_by_our_own_cancel(
    shop: Shop,
) -> None:
    order, run, payment = await at_the_till(shop)
    shop.provider.script("close", payment.reference, Fault(report=undone(payment)))
    await shop.cancel(run)
    closed = await run.result()
    shop.provider.script("query", payment.reference, *[Fault(report=undone(payment))] * 9)

    await (await shop.late(order, closed)).result()

    row = await shop.row(payment)
    assert (row.status, row.captured, row.attention) == (PaymentStatus.CLOSED, 0, None)
    assert shop.merchants.heard(payment) == ["payment.closed"]


@pytest.mark.parametrize("together", [False, True])
async def test_money_is_captured_although_a_part_of_it_was_refunded_before_it_was_reported(
    shop: Shop, *, together: bool
) -> None:
    order, run, payment = await at_the_till(shop)
    delivering = shop.hangs(payment)
    closed = report(payment, Outcome.CLOSED).model_copy(update={"refunded": 500})
    await shop.say(run, notification(closed))
    if not together:
        await shop.merchants.hear(payment, "payment.closed")
    await shop.notify(run, order)
    delivering.set()

    await run.result()
    row = await shop.row(payment)
    assert (row.captured, row.attention) == (payment.amount, Attention.EXTERNAL_REFUND)


async def test_late_money_of_which_a_part_is_gone_is_given_back_and_shown_to_an_operator(
    shop: Shop,
) -> None:
    _order, run, payment = await at_the_till(shop)
    delivering = shop.hangs(payment)
    await shop.say(run, notification(report(payment, Outcome.CLOSED)))
    await shop.merchants.hear(payment, "payment.closed")

    await shop.say(
        run, notification(report(payment, Outcome.PAID).model_copy(update={"refunded": 500}))
    )
    delivering.set()

    await run.result()
    row = await shop.row(payment)
    assert (row.captured, row.attention) == (payment.amount, Attention.EXTERNAL_REFUND)


async def test_a_payment_at_the_till_that_was_paid_before_the_cancel_succeeds(shop: Shop) -> None:
    order, run, payment = await at_the_till(shop)
    answered = asyncio.Event()
    paid = report(payment, Outcome.PAID)
    shop.provider.script("close", payment.reference, Fault(report=paid, gate=answered))
    cancelling = asyncio.create_task(shop.cancel(run))
    await shop.sent("close", payment.reference)
    await shop.notify(run, order)
    answered.set()

    await cancelling

    assert (await run.result()).status is PaymentStatus.SUCCEEDED
    assert shop.merchants.heard(payment) == ["payment.succeeded"]


async def test_a_refund_told_of_with_the_money_is_compared_with_ours(shop: Shop) -> None:
    order = await shop.order()
    run, payment = await shop.pending(order)
    shop.provider.pay(payment.reference)

    told = report(payment, Outcome.PAID).model_copy(update={"refunded": 500})
    await shop.say(run, notification(told))
    await shop.say(run, notification(told))

    assert (await run.result()).status is PaymentStatus.SUCCEEDED
    assert (await shop.row(payment)).attention is Attention.EXTERNAL_REFUND
    assert shop.merchants.heard(payment) == ["payment.succeeded", "payment.attention"]


async def test_what_our_own_refund_gave_back_is_not_told_apart_from_itself(shop: Shop) -> None:
    order = await shop.order()
    run, payment = await shop.pending(order)
    telling = shop.hangs(payment)
    shop.provider.pay(payment.reference)
    await shop.notify(run, order)
    await shop.merchants.hear(payment, "payment.succeeded")
    await shop.start_refund(shop.refund_order(await shop.row(payment), 500))
    await shop.refunded(payment, 500)

    told = report(payment, Outcome.PAID).model_copy(update={"refunded": 500})
    await shop.say(run, notification(told))
    telling.set()

    await run.result()
    assert (await shop.row(payment)).attention is None


async def test_a_refunds_answer_shows_what_was_refunded_without_us(shop: Shop) -> None:
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 300)
    done = shop.provider.refund_report(order.refund, RefundOutcome.SUCCEEDED)
    answer = done.model_copy(update={"refunded": 500})
    shop.provider.script("refund", order.refund.reference, Fault(report=answer, executed=True))

    await (await shop.start_refund(order)).result()

    row = await shop.row(payment)
    assert (row.refunded, row.attention) == (300, Attention.EXTERNAL_REFUND)


async def test_a_refunds_answer_that_sums_up_our_own_calls_nobody(shop: Shop) -> None:
    payment = await shop.paid(await shop.order())
    await (await shop.start_refund(shop.refund_order(payment, 200))).result()
    order = shop.refund_order(payment, 300)
    done = shop.provider.refund_report(order.refund, RefundOutcome.SUCCEEDED)
    answer = done.model_copy(update={"refunded": 500})
    shop.provider.script("refund", order.refund.reference, Fault(report=answer, executed=True))

    await (await shop.start_refund(order)).result()

    row = await shop.row(payment)
    assert (row.refunded, row.attention) == (500, None)


async def test_a_notification_that_says_more_than_the_query_is_not_dropped(shop: Shop) -> None:
    order = await shop.order()
    payment = await shop.paid(order)
    told = report(payment, Outcome.PAID).model_copy(update={"refunded": 500})

    # The query says nothing of refunds.
    await (await shop.late(order, payment, notification(told))).result()

    row = await shop.row(payment)
    assert (row.attention, row.refunded) == (Attention.EXTERNAL_REFUND, 0)


def test_only_a_till_explains_a_refund_of_what_was_never_captured() -> None:
    gone = report(making.payment(), Outcome.PAID).model_copy(
        update={"mismatch": Attention.EXTERNAL_REFUND, "refunded": 1999}
    )
    till = making.payment(channel=Channel.BARCODE)
    assert explained(gone, till).outcome is Outcome.CLOSED
    assert explained(gone, making.payment()) is gone
    ended = till.model_copy(update={"status": PaymentStatus.FAILED})
    assert explained(gone, ended) is gone
    captured = till.model_copy(update={"status": PaymentStatus.SUCCEEDED, "captured": 1999})
    assert explained(gone, captured).mismatch is None
    assert unaccounted(captured, 1999) == 1999


@pytest.mark.parametrize("refunded", [None, 1, 500, 1998, 2000])
def test_less_or_more_than_the_whole_amount_is_not_our_own_cancels(refunded: int | None) -> None:
    till = making.payment(channel=Channel.BARCODE)
    partly = report(till, Outcome.CLOSED).model_copy(update={"refunded": refunded})
    assert not is_cancelled(till, partly)
    assert refunded_without_cancel(till, partly) == (refunded or 0)


@pytest.mark.parametrize("refunded", [1, 500, 1998, 2000])
def test_money_of_which_a_part_is_gone_is_for_an_operator(refunded: int) -> None:
    till = making.payment(channel=Channel.BARCODE)
    update = {"mismatch": Attention.EXTERNAL_REFUND, "refunded": refunded}
    gone = report(till, Outcome.PAID).model_copy(update=update)
    assert explained(gone, till) is gone
    assert till.mismatch(gone) is Attention.EXTERNAL_REFUND


def test_the_whole_amount_is_our_own_cancels() -> None:
    till = making.payment(channel=Channel.BARCODE)
    assert is_cancelled(till, undone(till))
    assert refunded_without_cancel(till, undone(till)) == 0


def test_a_part_of_a_cancelled_payment_is_not_our_own_cancel() -> None:
    closed = making.payment(channel=Channel.BARCODE, status=PaymentStatus.CLOSED)
    assert is_cancelled_in_store(closed, closed.amount)
    assert not is_cancelled_in_store(closed, closed.amount - 1)
    assert not is_cancelled_in_store(closed, None)
    captured = closed.model_copy(update={"captured": closed.amount, "late": True})
    assert not is_cancelled_in_store(captured, closed.amount)
