"""A provider whose notification is believed only once a query has said the same."""

import asyncio

import pytest
from temporalio.client import WorkflowUpdateStage

from domain.errors import ProviderUnavailable
from domain.merchant import LatePolicy
from domain.payment import PaymentStatus
from domain.report import Attention, Outcome
from domain.resolution import ResolveAction
from tests.workflows.scripted import Fault, notification, report, unknown
from tests.workflows.shop import BRISK, PaymentRun, Shop
from workflows.payment import PaymentOrder
from workflows.policies import CALL_FAST


async def confirmed_order(
    shop: Shop,
    expires_in: float = 900,
    late: LatePolicy = LatePolicy.REFUND,
    *,
    at_once: bool = True,
) -> PaymentOrder:
    rule = {"confirm": True, "confirm_fast": CALL_FAST if at_once else None}
    policy = BRISK.model_copy(update={**rule, "closable": False, "grace": 60})
    return await shop.order(expires_in=expires_in, late=late, policy=policy)


async def cancelled(run: PaymentRun) -> None:
    await run.start_update("cancel", "gone", wait_for_stage=WorkflowUpdateStage.ACCEPTED)


async def queued(run: PaymentRun) -> list[str]:
    """The steps that went by a queue."""
    return [
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in (await run.fetch_history()).events
    ]


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_notification_is_confirmed_by_one_query(shop: Shop, *, at_once: bool) -> None:
    order = await confirmed_order(shop, at_once=at_once)
    run, payment = await shop.pending(order)
    shop.provider.pay(payment.reference)
    await shop.notify(run, order)
    payment = await run.result()

    assert ("query_payment" not in await queued(run)) is at_once
    assert payment.status is PaymentStatus.SUCCEEDED
    assert shop.provider.sent("query", payment.reference) == 1
    assert shop.merchants.heard(payment) == ["payment.succeeded"]


async def test_a_notification_that_the_query_does_not_confirm_pays_nothing(shop: Shop) -> None:
    order = await confirmed_order(shop)
    run, payment = await shop.pending(order)

    await shop.notify(run, order)
    await shop.sent("query", payment.reference, 2)
    assert (await shop.row(payment)).status is PaymentStatus.PENDING
    shop.provider.pay(payment.reference)

    assert (await run.result()).status is PaymentStatus.SUCCEEDED
    assert (await shop.row(payment)).captured == payment.amount


async def test_a_query_that_fails_is_asked_again_until_it_confirms(shop: Shop) -> None:
    order = await confirmed_order(shop)
    run, payment = await shop.pending(order)
    shop.provider.script("query", payment.reference, Fault(error=unknown()), Fault(error=unknown()))

    shop.provider.pay(payment.reference)
    await shop.notify(run, order)

    assert (await run.result()).status is PaymentStatus.SUCCEEDED


async def test_a_query_that_is_slow_is_asked_again_by_the_queue(shop: Shop) -> None:
    order = await confirmed_order(shop)
    run, payment = await shop.pending(order)
    shop.provider.script("query", payment.reference, Fault(hang=True))

    shop.provider.pay(payment.reference)
    await shop.notify(run, order)

    assert (await run.result()).status is PaymentStatus.SUCCEEDED
    assert shop.provider.sent("query", payment.reference) == 2
    assert "query_payment" in await queued(run)


async def test_money_that_was_told_and_never_confirmed_calls_a_person_at_the_end(
    shop: Shop,
) -> None:
    order = await confirmed_order(shop)
    run, payment = await shop.pending(order)

    await shop.notify(run, order)
    await shop.sent("query", payment.reference)
    await cancelled(run)
    await shop.flagged(payment, Attention.CONTRADICTION)
    await shop.resolve(run, ResolveAction.CLOSE)

    ended = await run.result()
    assert (ended.status, ended.captured) == (PaymentStatus.CLOSED, 0)


async def test_denied_money_is_not_found_by_a_question_without_an_answer(shop: Shop) -> None:
    order = await confirmed_order(shop)
    run, payment = await shop.pending(order)

    await shop.notify(run, order)
    await shop.sent("query", payment.reference)
    shop.provider.script("query", payment.reference, *[Fault(error=unknown())] * 60)
    shop.provider.script("close", payment.reference, Fault(report=report(payment, Outcome.FAILED)))
    await cancelled(run)
    await shop.flagged(payment, Attention.CONTRADICTION)

    # The decision waits for the question about the dispute, which finds nothing out.
    assert (await shop.resolve(run, ResolveAction.CLOSE)).captured == 0
    assert (await run.result()).status is PaymentStatus.CLOSED


async def test_denied_money_that_the_provider_forgot_waits_for_a_person_and_asks_no_more(
    shop: Shop,
) -> None:
    order = await confirmed_order(shop)
    run, payment = await shop.pending(order)

    await shop.notify(run, order)
    await shop.sent("query", payment.reference)
    del shop.provider.orders[payment.reference]
    await cancelled(run)
    await shop.flagged(payment, Attention.CONTRADICTION)

    # A person decides; until the expiry the run still looks for what the provider never saw.
    assert (await shop.resolve(run, ResolveAction.CLOSE)).status is PaymentStatus.CLOSED
    assert shop.provider.sent("close", payment.reference) == 1
    await run.terminate("the test is over")


async def test_a_repeat_of_denied_money_is_asked_about_again(shop: Shop) -> None:
    order = await confirmed_order(shop)
    run, payment = await shop.pending(order)
    await shop.notify(run, order)
    await shop.sent("query", payment.reference)
    await cancelled(run)
    await shop.flagged(payment, Attention.CONTRADICTION)

    shop.provider.pay(payment.reference)
    await shop.notify(run, order)

    assert (await run.result()).status is PaymentStatus.SUCCEEDED
    assert (await shop.row(payment)).attention is None


async def test_repeated_notifications_change_nothing(shop: Shop) -> None:
    order = await confirmed_order(shop)
    run, payment = await shop.pending(order)
    shop.provider.pay(payment.reference)
    for _ in range(5):
        await shop.notify(run, order)

    assert (await run.result()).status is PaymentStatus.SUCCEEDED
    assert (await shop.row(payment)).captured == payment.amount
    assert shop.merchants.heard(payment) == ["payment.succeeded"]


async def test_a_notification_of_another_sum_parks_the_payment_at_once(shop: Shop) -> None:
    order = await confirmed_order(shop)
    run, payment = await shop.pending(order)
    shop.provider.script("query", payment.reference, Fault(report=report(payment, Outcome.PAID, 1)))

    await shop.notify(run, order, amount=1)

    await shop.flagged(payment, Attention.AMOUNT_MISMATCH)
    assert (await shop.row(payment)).captured == 0
    await run.terminate("the test is over")


async def test_a_failure_that_is_told_is_believed_by_the_query_alone(shop: Shop) -> None:
    order = await confirmed_order(shop)
    run, payment = await shop.pending(order)
    shop.provider.pay(payment.reference)

    await shop.say(run, notification(report(payment, Outcome.FAILED)))

    assert (await run.result()).status is PaymentStatus.SUCCEEDED


def no_close_for(seconds: float) -> Fault:
    return Fault(
        error=ProviderUnavailable("no close exists", provider="scripted", retry_after=seconds)
    )


async def test_a_cancelled_order_that_nobody_can_close_ends_with_its_time(shop: Shop) -> None:
    # Longer than the alarm waits: that nobody can close it yet is no trouble.
    order = await confirmed_order(shop, expires_in=12)
    order = order.model_copy(update={"policy": order.policy.model_copy(update={"alarm_after": 8})})
    run, payment = await shop.pending(order)
    shop.provider.script("close", payment.reference, no_close_for(9))

    await cancelled(run)

    ended = await run.result()
    assert (ended.status, ended.attention) == (PaymentStatus.CLOSED, None)
    assert shop.provider.sent("close", payment.reference) == 2
    assert shop.merchants.heard(payment) == ["payment.closed"]


async def test_a_payer_who_pays_while_a_cancelled_order_waits_has_paid(shop: Shop) -> None:
    order = await confirmed_order(shop)
    run, payment = await shop.pending(order)
    shop.provider.script("close", payment.reference, no_close_for(900))
    await cancelled(run)
    await shop.sent("close", payment.reference)

    shop.provider.pay(payment.reference)
    await shop.notify(run, order)

    assert (await run.result()).status is PaymentStatus.SUCCEEDED
    assert shop.merchants.heard(payment) == ["payment.succeeded"]


async def closed_and_telling(shop: Shop, order: PaymentOrder) -> tuple[PaymentRun, asyncio.Event]:
    """A payment that has ended closed; its run lives until the merchant has listened."""
    run, payment = await shop.pending(order)
    told = shop.hangs(payment)
    await shop.cancel(run)
    return run, told


async def test_money_told_of_after_the_end_is_given_back_once_a_query_confirms_it(
    shop: Shop,
) -> None:
    order = await confirmed_order(shop)
    run, told = await closed_and_telling(shop, order)
    payment = order.payment
    # The query lags behind the notification.
    shop.provider.script("query", payment.reference, Fault(report=report(payment, Outcome.CLOSED)))
    shop.provider.pay(payment.reference)
    await shop.notify(run, order)
    await shop.refunded(payment, payment.amount)
    told.set()

    ended = await run.result()
    assert (ended.status, ended.late) == (PaymentStatus.CLOSED, True)
    assert (await shop.row(payment)).attention is None


async def test_money_told_of_after_the_end_and_never_confirmed_calls_a_person(shop: Shop) -> None:
    order = await confirmed_order(shop)
    run, told = await closed_and_telling(shop, order)
    await shop.notify(run, order)
    await shop.flagged(order.payment, Attention.CONTRADICTION)
    told.set()

    assert (await run.result()).captured == 0
    row = await shop.row(order.payment)
    assert (row.attention, row.captured) == (Attention.CONTRADICTION, 0)


async def test_a_silence_after_the_end_calls_a_person_and_ends_with_the_money_given_back(
    shop: Shop,
) -> None:
    order = await confirmed_order(shop)
    hasty = order.policy.model_copy(update={"alarm_after": 0.5})
    order = order.model_copy(update={"policy": hasty})
    run, told = await closed_and_telling(shop, order)
    payment = order.payment
    shop.provider.pay(payment.reference)
    shop.provider.script("query", payment.reference, Fault(error=unknown()))

    await shop.notify(run, order)
    await shop.refunded(payment, payment.amount)
    told.set()

    ended = await run.result()
    assert (ended.status, ended.late) == (PaymentStatus.CLOSED, True)
    assert "payment.attention" in shop.merchants.heard(payment)
