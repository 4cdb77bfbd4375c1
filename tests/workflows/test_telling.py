"""The merchant is told: at least once, in order, until it listens or the window closes."""

import asyncio

import pytest
from temporalio.api.enums.v1 import EventType

from api.workflow_calls import create_refund
from domain.event import DeliveryStatus, Event
from domain.identity import event_id
from domain.merchant import LatePolicy
from domain.payment import Channel, Payment, PaymentStatus
from domain.refund import RefundStatus
from domain.resolution import ResolveAction
from storage.database import DatabaseUnavailable
from tests.workflows.disputes import parked
from tests.workflows.scripted import Fault
from tests.workflows.shop import BRISK, GIVES_UP, Shop
from webhooks.answers import WebhookAnswer
from webhooks.sender import WebhookFailed
from workflows.policies import WEBHOOK_FAST, PaymentPolicy

VETO = WebhookAnswer(status=200, decision="refund", reason="sold out")
DOWN = WebhookFailed("The endpoint answered 503.", status=503)


async def event(shop: Shop, payment: Payment, change: str = "succeeded") -> Event:
    found = await shop.events.get(event_id(payment.id, change))
    assert found is not None
    return found


async def test_a_merchant_that_was_down_is_told_when_it_is_back(shop: Shop) -> None:
    order = await shop.order(policy=BRISK)
    shop.merchants.answers[order.payment.id] = [DOWN]

    payment = await shop.paid(order)

    told = await event(shop, payment)
    assert (told.delivery, told.attempts) == (DeliveryStatus.DELIVERED, 2)
    assert shop.merchants.heard(payment) == ["payment.succeeded"]


async def test_a_merchant_that_answers_at_once_is_told_in_the_task_that_ends_the_run(
    shop: Shop,
) -> None:
    order = await shop.order()
    run, payment = await shop.pending(order)
    shop.provider.pay(payment.reference)
    await shop.notify(run, order)
    await run.result()

    kinds = [event.event_type for event in (await run.fetch_history()).events]
    assert EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED not in kinds
    # Recorded and submitted; ended and told.
    assert kinds.count(EventType.EVENT_TYPE_MARKER_RECORDED) == 2
    assert shop.merchants.heard(payment) == ["payment.succeeded"]


async def test_what_one_step_cannot_do_is_done_by_two(shop: Shop) -> None:
    order = await shop.order()
    run, payment = await shop.pending(order)
    ended = event_id(payment.id, "succeeded")
    # Neither a refusal nor an outage: written down, told, and then something unforeseen.
    shop.outages.script("mark", ended, RuntimeError("a defect"))
    shop.provider.pay(payment.reference)
    await shop.notify(run, order)

    await run.result()

    found = await event(shop, payment)
    assert (found.delivery, found.attempts) == (DeliveryStatus.DELIVERED, 1)
    assert shop.merchants.heard(payment) == ["payment.succeeded"]


async def test_a_flag_is_taken_down_before_the_end_is_told(shop: Shop) -> None:
    order = await shop.order()
    run, payment = await parked(shop, order)
    await shop.merchants.hear(payment, "payment.attention")
    shop.merchants.answers[payment.id] = [told := asyncio.Event()]

    shop.provider.pay(payment.reference)
    await shop.resolve(run, ResolveAction.ASK_AGAIN)
    await shop.merchants.hear(payment, "payment.attention", "payment.succeeded")

    assert (await shop.row(payment)).attention is None
    told.set()
    assert (await run.result()).status is PaymentStatus.SUCCEEDED


async def test_money_that_comes_while_the_end_is_told_in_one_step_is_given_back(
    shop: Shop,
) -> None:
    at_once = {"webhook_fast": WEBHOOK_FAST, "fast_path": True}
    order = await shop.order(policy=BRISK.model_copy(update=at_once), expires_in=1)
    run, payment = await shop.pending(order)
    shop.merchants.answers[payment.id] = [told := asyncio.Event()]
    await shop.merchants.hear(payment, "payment.closed")

    shop.provider.pay(payment.reference)
    await shop.notify(run, order)
    told.set()

    ended = await run.result()
    await shop.refunded(payment, 1999)
    assert (ended.status, ended.late) == (PaymentStatus.CLOSED, True)
    await shop.merchants.hear(payment, "payment.closed", "refund.succeeded")


async def test_a_word_that_crosses_the_first_task_does_not_have_it_done_again(shop: Shop) -> None:
    order = await shop.order(channel=Channel.BARCODE)
    payment, paid = order.payment, asyncio.Event()
    shop.provider.script("create", payment.reference, Fault(executed=True, gate=paid))
    run = await shop.start(order)
    await shop.sent("create", payment.reference)
    shop.provider.pay(payment.reference)
    await shop.notify(run, order)
    paid.set()
    await run.result()

    # Done again by another worker, the task would submit again.
    failed = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
    assert failed not in {event.event_type for event in (await run.fetch_history()).events}
    assert shop.provider.sent("create", payment.reference) == 1
    assert shop.merchants.heard(payment) == ["payment.succeeded"]


async def test_who_asks_is_answered_before_its_endpoint_is(shop: Shop) -> None:
    run, payment = await shop.pending(await shop.order())
    shop.merchants.answers[payment.id] = [answered := asyncio.Event()]

    async with asyncio.timeout(4):
        closed = await shop.cancel(run)

    assert closed.status is PaymentStatus.CLOSED
    answered.set()
    await shop.merchants.hear(payment, "payment.closed")


async def test_a_refund_is_answered_before_the_merchant_is_told(shop: Shop) -> None:
    payment = await shop.paid(await shop.order())
    shop.merchants.answers[payment.id] = [answered := asyncio.Event()]

    async with asyncio.timeout(6):
        asked = await create_refund(shop.client, shop.refund_order(payment, 500))

    assert asked.status is RefundStatus.SUCCEEDED
    answered.set()
    await shop.merchants.hear(payment, "payment.succeeded", "refund.succeeded")


async def test_a_merchant_that_names_a_time_is_told_then(shop: Shop) -> None:
    order = await shop.order()
    shop.merchants.answers[order.payment.id] = [WebhookFailed("busy", retry_after=1, status=429)]

    payment = await shop.paid(order)

    assert (await event(shop, payment)).delivery is DeliveryStatus.DELIVERED


async def test_a_merchant_that_never_listens_is_given_up_and_later_events_still_go(
    shop: Shop,
) -> None:
    order = await shop.order(policy=GIVES_UP)
    shop.merchants.answers[order.payment.id] = [DOWN] * 9
    payment = await shop.paid(order)
    shop.merchants.answers[order.payment.id] = []

    refund = await (await shop.start_refund(shop.refund_order(payment, 500))).result()

    assert (await event(shop, payment)).delivery is DeliveryStatus.GIVEN_UP
    assert refund.status is RefundStatus.SUCCEEDED
    assert shop.merchants.heard(payment) == ["refund.succeeded"]


async def test_a_merchant_that_wants_no_more_is_not_asked_twice(shop: Shop) -> None:
    order = await shop.order()
    gone = WebhookFailed("The endpoint answered 410.", gone=True, status=410)
    shop.merchants.answers[order.payment.id] = [gone]

    payment = await shop.paid(order)

    told = await event(shop, payment)
    assert (told.delivery, told.attempts) == (DeliveryStatus.GIVEN_UP, 1)


async def test_a_merchant_without_an_endpoint_holds_nothing_up(shop: Shop) -> None:
    payment = await shop.paid(await shop.order(endpoint=False))

    assert (await event(shop, payment)).delivery is DeliveryStatus.NO_ENDPOINT
    assert shop.merchants.heard(payment) == []


async def test_a_refunds_event_waits_for_the_payments(shop: Shop) -> None:
    order = await shop.order(policy=BRISK)
    shop.merchants.answers[order.payment.id] = [DOWN, DOWN]
    run, payment = await shop.pending(order)
    shop.provider.pay(payment.reference)
    await shop.notify(run, order)
    await shop.sync(run)

    await (await shop.start_refund(shop.refund_order(payment, 500))).result()

    await run.result()
    assert shop.merchants.heard(payment) == ["payment.succeeded", "refund.succeeded"]


async def test_a_merchants_veto_gives_the_money_back(shop: Shop) -> None:
    order = await shop.order()
    shop.merchants.answers[order.payment.id] = [VETO]

    payment = await shop.paid(order)

    await shop.refunded(payment, 1999)
    assert payment.status is PaymentStatus.SUCCEEDED
    [refund] = await shop.refunds.list_for_payment(payment.id)
    assert (refund.cause, refund.reason) == ("merchant_veto", "sold out")


async def test_a_veto_after_a_refund_in_part_gives_back_the_rest(shop: Shop) -> None:
    order = await shop.order(policy=BRISK)
    shop.merchants.answers[order.payment.id] = [DOWN, DOWN, VETO]
    run, payment = await shop.pending(order)
    shop.provider.pay(payment.reference)
    await shop.notify(run, order)
    await shop.sync(run)
    part = await shop.start_refund(shop.refund_order(payment, 500))

    await run.result()
    await part.result()

    await shop.refunded(payment, 1999)
    amounts = [refund.amount for refund in await shop.refunds.list_for_payment(payment.id)]
    assert sorted(amounts) == [500, 1499]


@pytest.mark.parametrize("policy", [BRISK, None], ids=["queued", "at once"])
async def test_a_veto_whose_delivery_died_after_it_was_written_is_not_lost(
    shop: Shop, policy: PaymentPolicy | None
) -> None:
    order = await shop.order(policy=policy)
    payment = order.payment
    shop.merchants.answers[payment.id] = [VETO]
    shop.outages.script("mark", event_id(payment.id, "succeeded"), DatabaseUnavailable("died"))

    await shop.paid(order)

    await shop.refunded(payment, 1999)
    await shop.merchants.hear(payment, "payment.succeeded", "refund.succeeded")


async def test_a_veto_of_a_late_payment_gives_the_money_back(shop: Shop) -> None:
    order = await shop.order(late=LatePolicy.ACCEPT)
    payment = await shop.closed(order)
    shop.merchants.answers[payment.id] = [VETO]
    shop.provider.pay(payment.reference)

    await (await shop.late(order, payment)).result()

    await shop.refunded(payment, 1999)
    assert (await shop.row(payment)).status is PaymentStatus.SUCCEEDED


async def test_a_veto_of_a_payment_without_money_changes_nothing(shop: Shop) -> None:
    order = await shop.order()
    shop.merchants.answers[order.payment.id] = [VETO]

    payment = await shop.closed(order)

    assert payment.status is PaymentStatus.CLOSED
    assert await shop.refunds.list_for_payment(payment.id) == []


async def test_a_person_is_answered_before_the_endpoint_is_and_no_word_between_takes_the_answer(
    shop: Shop,
) -> None:
    order = await shop.order()
    run, payment = await parked(shop, order)
    await shop.merchants.hear(payment, "payment.attention")
    shop.merchants.answers[payment.id] = [told := asyncio.Event()]

    deciding = asyncio.create_task(shop.resolve(run, ResolveAction.ACCEPT))
    await shop.merchants.hear(payment, "payment.attention", "payment.succeeded")
    await shop.notify(run, order, amount=500)
    told.set()

    assert (await deciding).captured == 500
    assert (await run.result()).status is PaymentStatus.SUCCEEDED
