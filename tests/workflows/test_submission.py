import asyncio
import json
from contextlib import ExitStack

from activities.provider_calls import MOST_AT_ONCE
from domain.payment import Channel, PaymentStatus
from domain.report import Attention, Outcome
from tests.workflows.scripted import Fault, Order, notification, rejected, report, unknown
from tests.workflows.shop import BRISK, PaymentRun, Shop, eventually


async def local_steps(run: PaymentRun) -> list[str]:
    """The steps that the run took inside its tasks, in order."""
    marked = (e.marker_recorded_event_attributes for e in (await run.fetch_history()).events)
    data = [attributes.details["data"] for attributes in marked if attributes.marker_name]
    return [json.loads(found.payloads[0].data)["activity_type"] for found in data]


async def test_a_barcode_payment_can_end_with_its_submission(shop: Shop) -> None:
    order = await shop.order(channel=Channel.BARCODE)
    reference = order.payment.reference
    shop.provider.orders[reference] = Order(order.payment.amount, Outcome.PAID)

    payment = await shop.checkout(order)

    assert payment.status is PaymentStatus.SUCCEEDED
    assert shop.provider.sent("create", reference) == 1


async def test_a_barcode_payment_of_another_amount_waits_for_a_person(shop: Shop) -> None:
    order = await shop.order(channel=Channel.BARCODE)
    reference = order.payment.reference
    shop.provider.orders[reference] = Order(5, Outcome.PAID)
    wrong = Fault(report=report(order.payment, Outcome.PAID, amount=5))
    shop.provider.script("create", reference, Fault(error=rejected("AUTH_CODE_USED")))
    shop.provider.script("query", reference, *[wrong] * 2)

    payment = await shop.checkout(order)

    assert payment.status is PaymentStatus.PENDING
    await shop.flagged(payment, Attention.AMOUNT_MISMATCH)


async def test_a_rejection_after_a_lost_success_is_not_believed(shop: Shop) -> None:
    order = await shop.order(channel=Channel.BARCODE)
    reference = order.payment.reference
    shop.provider.orders[reference] = Order(order.payment.amount, Outcome.PAID)
    shop.provider.script("create", reference, Fault(error=rejected("AUTH_CODE_USED")))

    payment = await shop.checkout(order)

    assert payment.status is PaymentStatus.SUCCEEDED


async def test_a_rejection_stands_where_the_question_is_rejected_too(shop: Shop) -> None:
    order = await shop.order()
    reference = order.payment.reference
    shop.provider.script("create", reference, Fault(error=rejected("INVALID_APP")))
    shop.provider.script("query", reference, Fault(error=rejected("INVALID_APP")))

    payment = await shop.checkout(order)

    assert payment.status is PaymentStatus.FAILED


async def test_an_order_refused_for_one_reason_and_its_question_for_another_fails_nothing(
    shop: Shop,
) -> None:
    order = await shop.order(channel=Channel.BARCODE, policy=BRISK)
    reference = order.payment.reference
    shop.provider.orders[reference] = Order(order.payment.amount, Outcome.PAID)
    shop.provider.script("create", reference, Fault(error=rejected("AUTH_CODE_USED")))
    shop.provider.script("query", reference, Fault(error=rejected("NO_AUTH")))

    payment = await shop.checkout(order)

    assert payment.status is PaymentStatus.SUCCEEDED


async def test_a_lost_answer_is_asked_about_before_the_order_is_sent_again(shop: Shop) -> None:
    order = await shop.order(channel=Channel.BARCODE)
    reference = order.payment.reference
    shop.provider.orders[reference] = Order(order.payment.amount, Outcome.PAID)
    shop.provider.script("create", reference, Fault(error=unknown(), executed=True))

    payment = await shop.checkout(order)

    assert payment.status is PaymentStatus.SUCCEEDED
    assert shop.provider.sent("create", reference) == 1


async def test_an_order_that_never_arrived_is_sent_again_with_the_same_reference(
    shop: Shop,
) -> None:
    order = await shop.order()
    reference = order.payment.reference
    shop.provider.script("create", reference, Fault(error=unknown()))

    payment = await shop.checkout(order)

    assert payment.checkout is not None
    assert payment.checkout.value == f"qr:{reference}"
    assert shop.provider.sent("create", reference) == 2


async def test_a_question_refused_after_a_lost_answer_fails_nothing(shop: Shop) -> None:
    order = await shop.order(channel=Channel.BARCODE, policy=BRISK)
    reference = order.payment.reference
    shop.provider.orders[reference] = Order(order.payment.amount, Outcome.PAID)
    shop.provider.script("create", reference, Fault(error=unknown(), executed=True))
    shop.provider.script("query", reference, Fault(error=rejected("NO_AUTH")))

    payment = await shop.checkout(order)

    assert payment.status is PaymentStatus.SUCCEEDED
    assert shop.provider.sent("create", reference) == 1


async def test_a_rejection_in_a_later_try_fails_the_payment(shop: Shop) -> None:
    order = await shop.order()
    faults = Fault(error=unknown()), Fault(error=rejected("NO"))
    shop.provider.script("create", order.payment.reference, *faults)

    payment = await shop.checkout(order)

    assert payment.status is PaymentStatus.FAILED


async def test_a_hanging_provider_is_asked_again_by_the_slow_way(shop: Shop) -> None:
    order = await shop.order(policy=BRISK)
    shop.provider.script("create", order.payment.reference, Fault(hang=True))

    payment = await shop.checkout(order)

    assert payment.status is PaymentStatus.PENDING
    assert payment.checkout is not None


async def test_an_order_that_took_too_long_to_place_is_asked_about_and_not_sent_twice(
    shop: Shop,
) -> None:
    order = await shop.order(channel=Channel.BARCODE, policy=BRISK)
    reference = order.payment.reference
    shop.provider.orders[reference] = Order(order.payment.amount, Outcome.PAID)
    shop.provider.script("create", reference, Fault(hang=True, executed=True))

    payment = await shop.checkout(order)

    assert payment.status is PaymentStatus.SUCCEEDED
    assert shop.provider.sent("create", reference) == 1


async def test_an_order_whose_step_broke_after_it_was_sent_is_asked_about_and_not_sent_twice(
    shop: Shop,
) -> None:
    order = await shop.order(channel=Channel.BARCODE)
    reference = order.payment.reference
    shop.provider.orders[reference] = Order(order.payment.amount, Outcome.PAID)
    # Neither a no nor a lost answer: the whole step fails.
    shop.provider.script("create", reference, Fault(error=RuntimeError("a defect"), executed=True))

    payment = await shop.checkout(order)

    assert payment.status is PaymentStatus.SUCCEEDED
    assert shop.provider.sent("create", reference) == 1


async def test_an_order_whose_provider_has_no_place_within_tasks_goes_by_its_queue(
    shop: Shop,
) -> None:
    order = await shop.order()
    within_tasks = shop.providers._within_tasks  # noqa: SLF001 - as if it hung

    with ExitStack() as held:
        for _ in range(MOST_AT_ONCE):
            held.enter_context(within_tasks.place(order.payment.provider))
        payment = await shop.checkout(order)

    assert payment.checkout is not None
    # By the queue, where an order is asked about before it is sent.
    calls = [call for call, reference in shop.provider.calls if reference == payment.reference]
    assert calls == ["query", "create"]


async def test_an_order_that_could_not_be_written_down_at_once_is_simply_sent(shop: Shop) -> None:
    order = await shop.order()
    reference = order.payment.reference
    shop.outages.down("record", order.payment.id, 1)

    payment = await shop.checkout(order)

    assert payment.checkout is not None
    # Nothing was sent before, so nobody is asked: the provider need not be able to answer.
    sent = [shop.provider.sent(verb, reference) for verb in ("create", "query")]
    assert sent == [1, 0]


async def test_who_waits_for_the_checkout_is_answered_before_its_endpoint_is(shop: Shop) -> None:
    order = await shop.order(channel=Channel.BARCODE)
    reference = order.payment.reference
    shop.provider.orders[reference] = Order(order.payment.amount, Outcome.PAID)
    shop.provider.script("create", reference, Fault(error=unknown(), executed=True))
    run = await shop.start(order)
    await run.result()

    # Not an update but a request in the run's own process may be waiting.
    steps = await local_steps(run)
    assert steps == ["record_and_submit", "finalise_payment", "deliver_at_once"]


async def test_an_order_that_never_gets_an_answer_is_closed_at_its_expiry(shop: Shop) -> None:
    order = await shop.order(policy=BRISK, expires_in=2)
    shop.provider.script("create", order.payment.reference, *[Fault(error=unknown())] * 9)
    run = await shop.start(order)

    ended = await run.result()

    assert (ended.status, ended.failure) == (PaymentStatus.CLOSED, None)


async def test_a_notification_ends_a_submission_that_gets_no_answer(shop: Shop) -> None:
    order = await shop.order(policy=BRISK)
    reference = order.payment.reference
    shop.provider.orders[reference] = Order(order.payment.amount, Outcome.PAID)
    lost = [Fault(error=unknown())] * 99
    shop.provider.script("create", reference, *lost)
    shop.provider.script("query", reference, *lost)
    run = await shop.start(order)
    waiting = asyncio.create_task(shop.checkout(order))
    await shop.sent("query", reference)

    await shop.notify(run, order)

    assert (await waiting).status is PaymentStatus.SUCCEEDED
    assert (await run.result()).captured == 1999


async def test_a_cancellation_ends_a_submission_that_gets_no_answer(shop: Shop) -> None:
    order = await shop.order(policy=BRISK)
    reference = order.payment.reference
    shop.provider.script("create", reference, *[Fault(error=unknown())] * 99)
    run = await shop.start(order)
    await shop.sent("create", reference, 2)

    cancelled = await shop.cancel(run)

    assert cancelled.status is PaymentStatus.CLOSED
    assert shop.provider.sent("create", reference) == 2


async def test_a_definite_no_does_not_undo_a_payment_that_is_paid(shop: Shop) -> None:
    order = await shop.order()
    reference = order.payment.reference
    shop.provider.orders[reference] = Order(order.payment.amount, Outcome.PAID)
    gate = asyncio.Event()
    shop.provider.script("create", reference, Fault(error=rejected(), gate=gate))
    shop.provider.script("query", reference, Fault(report=report(order.payment, Outcome.NOT_FOUND)))
    run = await shop.start(order)
    await shop.sent("create", reference)

    await shop.say(run, notification(report(order.payment, Outcome.PAID)))
    gate.set()

    await run.result()
    row = await shop.row(order.payment)
    # Heard after the rejection was: the failure stands, the money goes back. Before: it is paid.
    if row.status is PaymentStatus.FAILED:
        await shop.refunded(order.payment, 1999)
    else:
        assert row.status is PaymentStatus.SUCCEEDED


async def test_an_account_that_is_gone_fails_no_payment(shop: Shop) -> None:
    order = await shop.order(policy=BRISK, expires_in=2)
    gone = order.payment.model_copy(update={"account": "gone"})
    run = await shop.start(order.model_copy(update={"payment": gone}))

    await shop.flagged(gone, Attention.OUTCOME_UNKNOWN)

    assert (await shop.row(gone)).status is PaymentStatus.PENDING
    await run.terminate("the test is over")


async def test_the_search_attribute_shows_the_end(shop: Shop) -> None:
    order = await shop.order()
    payment = await shop.paid(order)

    async def listed() -> bool:
        query = f"PaymentStatus = 'succeeded' AND OrderNo = '{payment.order_no}'"
        return [run.id async for run in shop.client.list_workflows(query)] == [
            f"payment-{payment.reference}"
        ]

    assert await eventually(listed)
