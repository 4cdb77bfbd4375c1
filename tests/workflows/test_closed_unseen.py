"""Closed before the provider ever saw the order: what the payer holds stays good until it expires.

Alipay makes an app or page trade only when the payer opens it, so a close finds nothing to close.
"""

import asyncio

import pytest
from temporalio.client import WorkflowExecutionStatus

from domain.merchant import LatePolicy
from domain.payment import Payment, PaymentStatus
from domain.report import Attention, Outcome
from tests.workflows.scripted import Fault, Order, notification, rejected, report, unknown
from tests.workflows.shop import BRISK, PaymentRun, Shop
from workflows.payment import PaymentOrder
from workflows.policies import Attempts

# Just beyond the time that an order has by default.
EXPIRY = 901


async def closed_unseen(shop: Shop, order: PaymentOrder) -> tuple[PaymentRun, Payment]:
    """Cancelled while the payer had opened nothing yet."""
    run, payment = await shop.pending(order)
    del shop.provider.orders[payment.reference]
    assert (await shop.cancel(run)).status is PaymentStatus.CLOSED
    return run, payment


def pay(shop: Shop, payment: Payment) -> None:
    shop.provider.orders[payment.reference] = Order(payment.amount, Outcome.PAID)


async def is_open(run: PaymentRun) -> bool:
    return (await run.describe()).status is WorkflowExecutionStatus.RUNNING


async def test_the_merchant_knows_at_once_while_the_run_stays_open(shop: Shop) -> None:
    run, payment = await closed_unseen(shop, await shop.order())

    await shop.merchants.hear(payment, "payment.closed")

    assert (await shop.row(payment)).status is PaymentStatus.CLOSED
    assert await is_open(run)
    await shop.env.fast_forward(run, EXPIRY)
    assert (await run.result()).status is PaymentStatus.CLOSED


async def test_an_unpaid_order_ends_quietly_after_one_last_question(shop: Shop) -> None:
    run, payment = await closed_unseen(shop, await shop.order(policy=BRISK))
    asked = shop.provider.sent("query", payment.reference)
    await shop.env.fast_forward(run, EXPIRY)

    ended = await run.result()

    assert (ended.status, ended.attention) == (PaymentStatus.CLOSED, None)
    assert shop.provider.sent("query", payment.reference) == asked + 1
    assert shop.merchants.heard(payment) == ["payment.closed"]


@pytest.mark.parametrize("late", LatePolicy)
async def test_money_whose_notification_was_lost_follows_the_merchants_policy(
    shop: Shop, late: LatePolicy
) -> None:
    run, payment = await closed_unseen(shop, await shop.order(policy=BRISK, late=late))
    pay(shop, payment)
    await shop.env.fast_forward(run, EXPIRY)

    ended = await run.result()

    assert ended.late
    if late is LatePolicy.ACCEPT:
        assert (await shop.row(payment)).status is PaymentStatus.SUCCEEDED
        assert shop.merchants.heard(payment) == ["payment.closed", "payment.succeeded"]
    else:
        await shop.refunded(payment, 1999)
        assert (await shop.row(payment)).status is PaymentStatus.CLOSED


async def test_a_notification_meanwhile_is_settled_at_once(shop: Shop) -> None:
    order = await shop.order()
    run, payment = await closed_unseen(shop, order)
    pay(shop, payment)

    await shop.notify(run, order)

    # No clock was moved: the run does not wait for the expiry once it knows.
    assert (await run.result()).late
    await shop.refunded(payment, 1999)


@pytest.mark.parametrize("error", [unknown(), rejected("NO_AUTH")], ids=["away", "refuses"])
async def test_a_provider_that_cannot_say_calls_a_person(shop: Shop, error: Exception) -> None:
    hasty = BRISK.model_copy(update={"alarm_after": 0.5})
    run, payment = await closed_unseen(shop, await shop.order(policy=hasty))
    shop.provider.script("query", payment.reference, *[Fault(error=error)] * 9)
    await shop.env.fast_forward(run, EXPIRY)

    ended = await run.result()

    assert (ended.status, ended.attention) == (PaymentStatus.CLOSED, Attention.OUTCOME_UNKNOWN)
    assert (await shop.row(payment)).attention is Attention.OUTCOME_UNKNOWN
    assert shop.merchants.heard(payment) == ["payment.closed", "payment.attention"]


async def test_a_notification_during_the_last_question_does_not_wait_for_its_answer(
    shop: Shop,
) -> None:
    patient = {"alarm_after": 60, "call_slow": Attempts(timeout=60)}
    order = await shop.order(policy=BRISK.model_copy(update=patient))
    run, payment = await closed_unseen(shop, order)
    asked = shop.provider.sent("query", payment.reference)
    shop.provider.script("query", payment.reference, Fault(gate=(gate := asyncio.Event())))
    await shop.env.fast_forward(run, EXPIRY)
    await shop.sent("query", payment.reference, asked + 1)
    pay(shop, payment)

    await shop.notify(run, order)

    await shop.refunded(payment, 1999)
    assert await is_open(run)
    gate.set()
    assert (await run.result()).attention is None


async def test_a_provider_that_stays_away_is_no_alarm_once_the_money_is_known(shop: Shop) -> None:
    order = await shop.order(policy=BRISK)
    run, payment = await closed_unseen(shop, order)
    asked = shop.provider.sent("query", payment.reference)
    shop.provider.script("query", payment.reference, *[Fault(error=unknown())] * 9)
    await shop.env.fast_forward(run, EXPIRY)
    await shop.sent("query", payment.reference, asked + 1)
    pay(shop, payment)

    await shop.notify(run, order)

    assert (await run.result()).attention is None
    await shop.refunded(payment, 1999)


async def test_a_word_that_does_not_fit_is_a_case_for_a_person_and_the_watch_goes_on(
    shop: Shop,
) -> None:
    order = await shop.order(policy=BRISK)
    run, payment = await closed_unseen(shop, order)
    await shop.say(run, notification(report(payment, Outcome.PAID, amount=1)))
    await shop.flagged(payment, Attention.AMOUNT_MISMATCH)
    pay(shop, payment)
    await shop.env.fast_forward(run, EXPIRY)

    assert (await run.result()).late
    await shop.refunded(payment, 1999)


async def test_an_order_closed_after_its_expiry_is_not_watched(shop: Shop) -> None:
    run, payment = await shop.pending(await shop.order(policy=BRISK, expires_in=1))
    del shop.provider.orders[payment.reference]

    ended = await run.result()

    assert ended.status is PaymentStatus.CLOSED
    polls = shop.provider.sent("query", payment.reference)
    assert (
        polls
        == shop.provider.calls[: _last_close(shop, payment)].count(("query", payment.reference)) + 1
    )


def _last_close(shop: Shop, payment: Payment) -> int:
    calls = shop.provider.calls
    return len(calls) - calls[::-1].index(("close", payment.reference))


async def test_an_order_that_the_provider_closed_is_not_watched(shop: Shop) -> None:
    run, payment = await shop.pending(await shop.order())

    await shop.cancel(run)

    assert (await run.result()).status is PaymentStatus.CLOSED
    assert shop.provider.sent("query", payment.reference) == 1


@pytest.mark.parametrize("late", LatePolicy)
async def test_money_that_the_late_run_has_settled_is_not_settled_again_by_the_watch(
    shop: Shop, late: LatePolicy
) -> None:
    order = await shop.order(policy=BRISK, late=late)
    run, payment = await closed_unseen(shop, order)
    pay(shop, payment)
    # A word that does not fit a closed payment goes to the late run, which asks the provider.
    said = notification(report(payment, Outcome.PAID, amount=1))
    await (await shop.late(order, await shop.row(payment), said)).result()

    assert await is_open(run)
    await shop.env.fast_forward(run, EXPIRY)
    ended = await run.result()

    assert ended.attention is None
    if late is LatePolicy.ACCEPT:
        assert (await shop.row(payment)).status is PaymentStatus.SUCCEEDED
        assert shop.merchants.heard(payment) == ["payment.closed", "payment.succeeded"]
    else:
        await shop.refunded(payment, 1999)
        assert len(await shop.refunds.list_for_payment(payment.id)) == 1
