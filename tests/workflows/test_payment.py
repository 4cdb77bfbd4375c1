import pytest
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError

from domain.payment import PaymentStatus
from domain.report import Outcome
from tests.workflows.scripted import Fault, notification, rejected, report, unknown
from tests.workflows.shop import BRISK, PaymentRun, Shop, refusal

# What one payment may cost at Temporal.
MOST_EVENTS = 24


async def events_of(run: PaymentRun) -> int:
    return len([event async for event in run.fetch_history_events()])


async def test_a_notified_payment_succeeds_and_the_merchant_hears_it_once(shop: Shop) -> None:
    order = await shop.order()

    payment = await shop.paid(order)

    assert payment.status is PaymentStatus.SUCCEEDED
    row = await shop.row(payment)
    assert (row.status, row.captured, row.late) == (PaymentStatus.SUCCEEDED, 1999, False)
    assert shop.merchants.heard(payment) == ["payment.succeeded"]
    assert shop.provider.sent("query", payment.reference) == 0


async def test_a_notified_payment_costs_few_events(shop: Shop) -> None:
    order = await shop.order()
    payment = await shop.checkout(order)
    run = shop.run(order)
    shop.provider.pay(payment.reference)
    await shop.notify(run, order)
    await run.result()

    assert await events_of(run) <= MOST_EVENTS


async def test_the_checkout_is_answered_before_the_payer_pays(shop: Shop) -> None:
    payment = await shop.checkout(await shop.order())

    assert payment.checkout is not None
    assert payment.checkout.value == f"qr:{payment.reference}"
    assert payment.status is PaymentStatus.PENDING
    assert (await shop.row(payment)).checkout == payment.checkout


async def test_a_repeated_create_makes_one_provider_order(shop: Shop) -> None:
    order = await shop.order()
    first = await shop.checkout(order)
    second = await shop.checkout(order)

    assert first == second
    assert shop.provider.sent("create", first.reference) == 1


async def test_another_body_under_the_same_key_is_refused(shop: Shop) -> None:
    order = await shop.order()
    await shop.checkout(order)
    other = order.payment.model_copy(update={"request_hash": "other"})

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await shop.checkout(order.model_copy(update={"payment": other}))

    assert refusal(refused.value) == "idempotency_key_reused"


async def test_a_run_started_again_for_an_ended_payment_does_nothing(shop: Shop) -> None:
    order = await shop.order()
    payment = await shop.paid(order)

    again = await (await shop.start(order)).result()

    assert (again.status, again.captured) == (PaymentStatus.SUCCEEDED, 1999)
    assert shop.provider.sent("create", payment.reference) == 1
    assert shop.merchants.heard(payment) == ["payment.succeeded"]


async def test_a_run_started_again_for_a_pending_payment_asks_before_it_sends(shop: Shop) -> None:
    order = await shop.order()
    run, payment = await shop.pending(order)
    await run.terminate("lost with its server")
    shop.provider.pay(payment.reference)
    later = order.payment.model_copy(update={"created_at": order.payment.expires_at})

    found = await (await shop.start(order.model_copy(update={"payment": later}))).result()

    assert found.status is PaymentStatus.SUCCEEDED
    assert found.created_at == order.payment.created_at
    assert shop.provider.sent("create", payment.reference) == 1


async def test_a_silent_provider_is_asked_and_the_payment_found(shop: Shop) -> None:
    run, payment = await shop.pending(await shop.order())
    shop.provider.pay(payment.reference)

    await shop.env.fast_forward(run, 60)

    assert (await run.result()).status is PaymentStatus.SUCCEEDED
    assert shop.merchants.heard(payment) == ["payment.succeeded"]


async def test_an_order_that_the_provider_does_not_know_yet_is_asked_about_again(
    shop: Shop,
) -> None:
    order = await shop.order(policy=BRISK)
    missing = report(order.payment, Outcome.NOT_FOUND)
    shop.provider.script("query", order.payment.reference, Fault(report=missing))
    run, payment = await shop.pending(order)
    shop.provider.pay(payment.reference)

    assert (await run.result()).status is PaymentStatus.SUCCEEDED
    assert shop.provider.sent("query", payment.reference) == 2


async def test_a_failure_found_by_asking_ends_the_payment(shop: Shop) -> None:
    order = await shop.order(policy=BRISK)
    run, payment = await shop.pending(order)
    shop.provider.orders[payment.reference].state = Outcome.FAILED

    ended = await run.result()

    assert ended.status is PaymentStatus.FAILED
    assert ended.failure is not None
    assert ended.failure.provider_code == "FAILED"
    assert shop.merchants.heard(payment) == ["payment.failed"]


async def test_a_notification_stops_the_asking(shop: Shop) -> None:
    order = await shop.order(policy=BRISK)
    run, payment = await shop.pending(order)
    await shop.sent("query", payment.reference)
    shop.provider.script("query", payment.reference, *[Fault(error=unknown())] * 50)
    shop.provider.pay(payment.reference)

    await shop.notify(run, order)

    assert (await run.result()).status is PaymentStatus.SUCCEEDED


async def test_repeated_notifications_change_nothing_more(shop: Shop) -> None:
    order = await shop.order()
    run, payment = await shop.pending(order)
    shop.provider.pay(payment.reference)
    for _ in range(5):
        await shop.notify(run, order)

    assert (await run.result()).captured == 1999
    assert shop.merchants.heard(payment) == ["payment.succeeded"]


async def test_a_refunds_notification_is_not_the_payments_business(shop: Shop) -> None:
    order = await shop.order()
    run, payment = await shop.pending(order)
    refund = shop.refund_order(payment, 500).refund
    await shop.say(run, notification(shop.provider.refund_report(refund)))
    shop.provider.pay(payment.reference)
    await shop.notify(run, order)

    ended = await run.result()

    assert (ended.status, ended.attention) == (PaymentStatus.SUCCEEDED, None)


async def test_an_unpaid_payment_is_closed_at_the_provider_too(shop: Shop) -> None:
    run, payment = await shop.pending(await shop.order(expires_in=45))

    await shop.env.fast_forward(run, 60)

    assert (await run.result()).status is PaymentStatus.CLOSED
    assert shop.provider.orders[payment.reference].state is Outcome.CLOSED
    assert shop.merchants.heard(payment) == ["payment.closed"]


async def test_a_rejected_order_fails_by_the_providers_own_word(shop: Shop) -> None:
    order = await shop.order()
    shop.provider.script("create", order.payment.reference, Fault(error=rejected("TOTAL_FEE")))

    payment = await shop.checkout(order)

    assert payment.status is PaymentStatus.FAILED
    assert payment.failure is not None
    assert payment.failure.provider_code == "TOTAL_FEE"
    assert (await shop.row(payment)).status is PaymentStatus.FAILED
    await shop.run(order).result()
    assert shop.merchants.heard(payment) == ["payment.failed"]


async def test_a_cancelled_payment_is_closed_at_the_provider(shop: Shop) -> None:
    run, payment = await shop.pending(await shop.order())

    cancelled = await shop.cancel(run)

    assert cancelled.status is PaymentStatus.CLOSED
    assert shop.provider.orders[payment.reference].state is Outcome.CLOSED


async def test_a_payment_that_was_paid_already_wins_over_its_cancellation(shop: Shop) -> None:
    run, payment = await shop.pending(await shop.order())
    shop.provider.pay(payment.reference)

    cancelled = await shop.cancel(run)

    assert cancelled.status is PaymentStatus.SUCCEEDED


async def test_an_ended_payment_is_not_cancelled(shop: Shop) -> None:
    order = await shop.order()
    shop.outages.down("finalise", order.payment.id)
    run, payment = await shop.pending(order)
    shop.provider.pay(payment.reference)
    await shop.notify(run, order)

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await shop.cancel(run)

    assert refusal(refused.value) == "not_cancellable"
    assert (await run.result()).status is PaymentStatus.SUCCEEDED


async def test_sync_finds_a_payment_at_once(shop: Shop) -> None:
    run, payment = await shop.pending(await shop.order())
    shop.provider.pay(payment.reference)

    assert (await shop.sync(run)).status is PaymentStatus.SUCCEEDED


async def test_sync_of_an_unpaid_payment_leaves_it_pending(shop: Shop) -> None:
    run, _ = await shop.pending(await shop.order())

    assert (await shop.sync(run)).status is PaymentStatus.PENDING


async def test_the_second_payment_of_an_order_is_given_back(shop: Shop) -> None:
    first = await shop.order()
    second = await shop.order(again=first)
    run, payment = await shop.pending(second)
    await shop.paid(first)
    shop.provider.pay(payment.reference)
    await shop.notify(run, second)

    ended = await run.result()

    assert ended.duplicate
    await shop.refunded(ended, 1999)
    assert shop.provider.refunded(first.payment.reference) == 0


async def test_an_order_that_is_paid_already_is_refused_up_front(shop: Shop) -> None:
    first = await shop.order()
    await shop.paid(first)
    second = await shop.order(again=first)
    run = await shop.start(second)

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await shop.checkout(second)

    assert refusal(refused.value) == "order_already_paid"
    with pytest.raises(WorkflowFailureError):
        await run.result()
    assert shop.provider.sent("create", second.payment.reference) == 0
