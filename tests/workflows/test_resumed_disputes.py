"""A payment whose workflow was lost while an operator had to decide about its money."""

import pytest

from domain.event import DeliveryStatus
from domain.payment import Payment, PaymentStatus
from domain.report import Attention, Outcome
from domain.resolution import ResolveAction
from tests.workflows.scripted import Fault, notification, report
from tests.workflows.shop import BRISK, PaymentRun, Shop
from workflows.payment import PaymentOrder


async def lost(shop: Shop, why: Attention = Attention.CONTRADICTION) -> tuple[PaymentRun, Payment]:
    """Resumed as the sweep does, after its operator was called; the provider knows no money."""
    order = await shop.order(policy=BRISK, endpoint=False)
    run, payment = await shop.pending(order)
    await called(shop, run, payment, why)
    shop.provider.orders[payment.reference].state = Outcome.CLOSED
    return await resumed(shop, order), payment


async def called(shop: Shop, run: PaymentRun, payment: Payment, why: Attention) -> None:
    """The operator was called, the merchant notified, and then the workflow was lost."""
    event = await shop.payments.flag(payment.id, why, "seen by test")
    assert event is not None
    await shop.events.mark(event, DeliveryStatus.DELIVERED)
    await run.terminate("lost")


async def resumed(shop: Shop, order: PaymentOrder) -> PaymentRun:
    row = await shop.row(order.payment)
    return await shop.start(order.model_copy(update={"payment": row, "resumed": True}))


async def held(shop: Shop, run: PaymentRun, payment: Payment) -> None:
    """It has queried, and waits."""
    await shop.sent("query", payment.reference)
    synced = await shop.sync(run)
    assert synced.status is PaymentStatus.PENDING
    row = await shop.row(payment)
    assert (row.status, row.captured) == (PaymentStatus.PENDING, 0)
    assert row.attention is not None


@pytest.mark.parametrize("why", [Attention.CONTRADICTION, Attention.AMOUNT_MISMATCH])
async def test_what_an_operator_must_decide_is_not_closed_by_the_provider(
    shop: Shop, why: Attention
) -> None:
    run, payment = await lost(shop, why)
    await held(shop, run, payment)
    await shop.say(run, notification(report(payment, Outcome.CLOSED)))
    await held(shop, run, payment)

    ended = await shop.resolve(run, ResolveAction.CLOSE)

    assert (ended.status, ended.captured) == (PaymentStatus.CLOSED, 0)
    assert (await run.result()).attention is None
    assert (await shop.row(payment)).attention is None


async def test_a_cancellation_is_answered_and_closes_nothing(shop: Shop) -> None:
    run, payment = await lost(shop)
    await shop.sent("query", payment.reference)

    assert (await shop.cancel(run)).status is PaymentStatus.PENDING

    await held(shop, run, payment)
    assert shop.provider.sent("close", payment.reference) == 0
    await shop.resolve(run, ResolveAction.CLOSE)
    await run.result()


async def test_money_is_found_by_the_first_query(shop: Shop) -> None:
    order = await shop.order(policy=BRISK, endpoint=False)
    run, payment = await shop.pending(order)
    await called(shop, run, payment, Attention.CONTRADICTION)
    shop.provider.pay(payment.reference)

    ended = await (await resumed(shop, order)).result()

    assert (ended.status, ended.captured) == (PaymentStatus.SUCCEEDED, 1999)
    assert (await shop.row(payment)).attention is None


async def test_money_that_is_notified_later_ends_the_wait(shop: Shop) -> None:
    run, payment = await lost(shop)
    await held(shop, run, payment)

    await shop.say(run, notification(report(payment, Outcome.PAID)))

    assert (await run.result()).status is PaymentStatus.SUCCEEDED
    assert (await shop.row(payment)).attention is None


async def test_the_wrong_sum_is_still_the_operators_to_accept(shop: Shop) -> None:
    order = await shop.order(policy=BRISK, endpoint=False)
    run, payment = await shop.pending(order)
    await called(shop, run, payment, Attention.AMOUNT_MISMATCH)
    wrong = report(payment, Outcome.PAID, 500)
    shop.provider.script("query", payment.reference, *[Fault(report=wrong)] * 2)
    again = await resumed(shop, order)
    await shop.sent("query", payment.reference, times=2)

    ended = await shop.resolve(again, ResolveAction.ACCEPT)

    assert (ended.status, ended.captured) == (PaymentStatus.SUCCEEDED, 500)
    await again.result()


async def test_an_operator_who_asks_again_gets_the_same_question(shop: Shop) -> None:
    run, payment = await lost(shop)
    await held(shop, run, payment)
    queries = shop.provider.sent("query", payment.reference)

    await shop.resolve(run, ResolveAction.ASK_AGAIN)

    await shop.sent("query", payment.reference, times=queries + 1)
    await shop.flagged(payment, Attention.CONTRADICTION)
    await held(shop, run, payment)
    await shop.resolve(run, ResolveAction.CLOSE)
    await run.result()


async def test_an_unknown_outcome_is_no_decision_and_goes_on_by_itself(shop: Shop) -> None:
    run, _ = await lost(shop, Attention.OUTCOME_UNKNOWN)

    assert (await run.result()).status is PaymentStatus.CLOSED
