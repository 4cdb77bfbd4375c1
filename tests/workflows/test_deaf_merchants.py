"""A merchant whose endpoint is down for days holds nothing up but what it is told itself."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from domain.event import DeliveryStatus
from domain.identity import event_id
from domain.merchant import LatePolicy
from domain.payment import Payment, PaymentStatus
from domain.refund import RefundCause
from domain.report import Attention, Outcome
from tests.workflows.scripted import Fault, notification, report
from tests.workflows.shop import PaymentRun, Shop, eventually
from workflows.payment import PaymentOrder

Deafen = Callable[[Payment], None]


@pytest.fixture
async def deafen(shop: Shop) -> AsyncIterator[Deafen]:
    """The endpoint takes what it is sent and does not answer before the test is over."""
    over = asyncio.Event()

    def deaf(payment: Payment) -> None:
        shop.merchants.answers[payment.id] = [over] * 9

    yield deaf
    over.set()


async def untold(shop: Shop, payment: Payment, change: str) -> bool:
    event = await shop.events.get(event_id(payment.id, change))
    return event is not None and event.delivery is DeliveryStatus.WAITING


async def closed_unheard(
    shop: Shop, order: PaymentOrder, deafen: Deafen
) -> tuple[PaymentRun, Payment]:
    """Cancelled, and nobody listens; then the payer pays."""
    deafen(order.payment)
    run, payment = await shop.pending(order)
    assert (await shop.cancel(run)).status is PaymentStatus.CLOSED
    shop.provider.pay(payment.reference)
    return run, payment


async def accepted(shop: Shop, payment: Payment) -> None:
    async def is_succeeded() -> bool:
        return (await shop.row(payment)).status is PaymentStatus.SUCCEEDED

    await eventually(is_succeeded)


async def test_late_money_is_given_back_in_the_payments_own_run(shop: Shop, deafen: Deafen) -> None:
    order = await shop.order()
    run, payment = await closed_unheard(shop, order, deafen)

    await shop.notify(run, order)

    await shop.refunded(payment, 1999)
    assert await untold(shop, payment, "closed")


async def test_late_money_that_is_welcome_is_accepted_in_the_payments_own_run(
    shop: Shop, deafen: Deafen
) -> None:
    order = await shop.order(late=LatePolicy.ACCEPT)
    run, payment = await closed_unheard(shop, order, deafen)

    await shop.notify(run, order)

    await accepted(shop, payment)
    assert await untold(shop, payment, "closed")


async def test_a_word_after_the_accepted_money_still_calls_a_person(
    shop: Shop, deafen: Deafen
) -> None:
    order = await shop.order(late=LatePolicy.ACCEPT)
    run, payment = await closed_unheard(shop, order, deafen)
    await shop.notify(run, order)
    await accepted(shop, payment)

    await shop.notify(run, order, amount=1)

    await shop.flagged(payment, Attention.AMOUNT_MISMATCH)
    assert await untold(shop, payment, "succeeded")


async def test_a_late_duplicate_is_given_back_before_anybody_hears_of_it(
    shop: Shop, deafen: Deafen
) -> None:
    first = await shop.order(late=LatePolicy.ACCEPT)
    second = await shop.order(again=first, late=LatePolicy.ACCEPT)
    run, payment = await closed_unheard(shop, second, deafen)
    await shop.paid(first)

    await shop.notify(run, second)

    await shop.refunded(payment, 1999)
    [refund] = await shop.refunds.list_for_payment(payment.id)
    assert refund.cause is RefundCause.DUPLICATE_PAYMENT
    assert await untold(shop, payment, "closed")


async def test_late_money_is_given_back_in_the_late_run(shop: Shop, deafen: Deafen) -> None:
    order = await shop.order()
    run, payment = await closed_unheard(shop, order, deafen)
    await run.terminate("lost with its server")

    await shop.late(order, payment)

    await shop.refunded(payment, 1999)
    assert await untold(shop, payment, "closed")


async def test_a_late_duplicate_is_given_back_in_the_late_run(shop: Shop, deafen: Deafen) -> None:
    first = await shop.order(late=LatePolicy.ACCEPT)
    second = await shop.order(again=first, late=LatePolicy.ACCEPT)
    run, payment = await closed_unheard(shop, second, deafen)
    await run.terminate("lost with its server")
    await shop.paid(first)

    await shop.late(second, payment)

    await shop.refunded(payment, 1999)
    assert await untold(shop, payment, "succeeded")


@pytest.mark.parametrize("late", LatePolicy)
async def test_the_late_run_answers_the_next_word_while_nobody_listens_to_the_first(
    shop: Shop, deafen: Deafen, late: LatePolicy
) -> None:
    order = await shop.order(late=late)
    run, payment = await closed_unheard(shop, order, deafen)
    await run.terminate("lost with its server")
    await shop.late(order, payment)
    await eventually(lambda: _is_late(shop, payment))
    # More than was paid, so that it cannot be recorded.
    refund = shop.refund_order(payment, 2500).refund

    await shop.late(order, payment, notification(shop.provider.refund_report(refund)))

    await shop.flagged(payment, Attention.EXTERNAL_REFUND)


async def test_the_late_run_puts_a_payment_right_and_goes_on(shop: Shop, deafen: Deafen) -> None:
    order = await shop.order()
    deafen(order.payment)
    run, payment = await shop.pending(order)
    await run.terminate("lost with its server")
    shop.provider.pay(payment.reference)
    await shop.late(order, payment)
    await accepted(shop, payment)
    wrong = report(payment, Outcome.PAID).model_copy(update={"refunded": 700})
    shop.provider.script("query", payment.reference, Fault(report=wrong))

    await shop.late(order, payment, notification(wrong))

    await shop.flagged(payment, Attention.EXTERNAL_REFUND)
    assert await untold(shop, payment, "succeeded")


async def _is_late(shop: Shop, payment: Payment) -> bool:
    return (await shop.row(payment)).late
