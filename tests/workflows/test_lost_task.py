"""The worker dies with a workflow task: its steps are done in our books, its history is not."""

import pytest

from domain.merchant import LatePolicy
from domain.payment import Payment, PaymentStatus
from domain.refund import Refund, RefundStatus
from domain.report import Attention, Outcome
from tests.workflows.scripted import notification, report
from tests.workflows.shop import Shop
from workflows.payment import PaymentOrder

ENDS = {Outcome.PAID: PaymentStatus.SUCCEEDED, Outcome.FAILED: PaymentStatus.FAILED}


async def ended_before(shop: Shop, order: PaymentOrder, outcome: Outcome) -> Payment:
    """What a task leaves that recorded, submitted and finalised, and died."""
    stored = await shop.payments.record(order.payment)
    ended = stored.apply(report(order.payment, outcome, stored.amount))
    finalised, _ = await shop.payments.finalise(ended)
    return finalised


@pytest.mark.parametrize("outcome", ENDS)
async def test_the_merchant_is_told_of_a_payment_whose_end_was_written_by_a_lost_task(
    shop: Shop, outcome: Outcome
) -> None:
    order = await shop.order()
    await ended_before(shop, order, outcome)

    payment = await (await shop.start(order)).result()

    assert payment.status is ENDS[outcome]
    assert shop.merchants.heard(order.payment) == [f"payment.{ENDS[outcome]}"]
    assert shop.provider.sent("create", order.payment.reference) == 0


async def test_a_duplicate_that_a_lost_task_wrote_down_is_given_back(shop: Shop) -> None:
    first, second = await shop.order(), await shop.order()
    same = {name: getattr(first.payment, name) for name in ("merchant_id", "order_no")}
    second = second.model_copy(update={"payment": second.payment.model_copy(update=same)})
    # Both are recorded before the first is paid.
    await shop.payments.record(second.payment)
    await ended_before(shop, first, Outcome.PAID)
    payment = await ended_before(shop, second, Outcome.PAID)
    assert payment.duplicate
    await shop.provider.create(payment)

    await (await shop.start(second)).result()

    await shop.refunded(payment, payment.amount)


async def test_the_merchant_is_told_of_a_refund_whose_end_was_written_by_a_lost_task(
    shop: Shop,
) -> None:
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 500)
    await shop.refunds.reserve(order.refund)
    await shop.refunds.finalise(_done(order.refund))

    refund = await (await shop.start_refund(order)).result()

    assert refund.status is RefundStatus.SUCCEEDED
    assert shop.merchants.heard(payment) == ["payment.succeeded", "refund.succeeded"]
    assert shop.provider.sent("refund", order.refund.reference) == 0


async def test_the_merchant_is_told_of_late_money_that_a_lost_task_accepted(shop: Shop) -> None:
    order = await shop.order(late=LatePolicy.ACCEPT)
    closed = await shop.closed(order)
    shop.provider.pay(closed.reference)
    await shop.payments.capture_late(closed.apply(report(closed, Outcome.PAID, closed.amount)))
    await shop.payments.accept_late(closed.id)

    payment = await (await shop.late(order, closed)).result()

    assert payment.status is PaymentStatus.SUCCEEDED
    assert shop.merchants.heard(closed) == ["payment.closed", "payment.succeeded"]
    assert shop.provider.refunded(closed.reference) == 0


async def test_the_merchant_is_told_of_an_end_that_a_lost_late_task_wrote(shop: Shop) -> None:
    order = await shop.order()
    stored = await shop.payments.record(order.payment)
    await shop.provider.create(stored)
    shop.provider.pay(stored.reference)
    await ended_before(shop, order, Outcome.PAID)

    await (await shop.late(order, stored)).result()

    assert shop.merchants.heard(stored) == ["payment.succeeded"]


async def test_an_end_that_accepted_late_money_overtook_in_lost_tasks_is_sent_first(
    shop: Shop,
) -> None:
    order = await shop.order(late=LatePolicy.ACCEPT)
    stored = await shop.payments.record(order.payment)
    await shop.provider.create(stored)
    # The first task closed it and died; the second had the money in hand, accepted it and died.
    closed, _ = await shop.payments.finalise(stored.apply(report(stored, Outcome.CLOSED)))
    await shop.payments.capture_late(closed.apply(report(closed, Outcome.PAID, closed.amount)))
    await shop.payments.accept_late(closed.id)

    run = await shop.start(order)
    await shop.notify(run, order)

    assert (await run.result()).status is PaymentStatus.SUCCEEDED
    assert shop.merchants.heard(stored) == ["payment.closed", "payment.succeeded"]


def _done(refund: Refund) -> Refund:
    return refund.model_copy(update={"status": RefundStatus.SUCCEEDED})


async def test_a_person_is_called_only_once_the_call_is_decided(shop: Shop) -> None:
    """A task that dies may be decided otherwise the next time: its call must not be out already."""
    order = await shop.order()
    run, payment = await shop.pending(order)
    await shop.say(run, notification(report(payment, Outcome.PAID, payment.amount + 1)))
    await shop.flagged(payment, Attention.AMOUNT_MISMATCH)

    history = await run.fetch_history()

    steps = [
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in history.events
    ]
    assert "flag_payment" in steps
