"""An operator cancels a run in the Temporal UI: no payable order is left behind."""

import asyncio

from temporalio.client import WorkflowExecutionStatus

from domain.payment import PaymentStatus
from domain.refund import RefundStatus
from domain.report import Outcome, RefundOutcome
from domain.resolution import ResolveAction
from tests.workflows.disputes import parked
from tests.workflows.scripted import Fault, rejected, unknown
from tests.workflows.shop import BRISK, PaymentRun, Shop
from tests.workflows.stores import OUTLASTS_THE_TASK


async def completed(run: PaymentRun) -> bool:
    """The run ended by its own word, not as cancelled."""
    return (await run.describe()).status is WorkflowExecutionStatus.COMPLETED


async def test_a_waiting_payment_is_closed_at_the_provider_and_told(shop: Shop) -> None:
    run, payment = await shop.pending(await shop.order())

    await run.cancel()

    assert (await run.result()).status is PaymentStatus.CLOSED
    assert await completed(run)
    assert shop.provider.orders[payment.reference].state is Outcome.CLOSED
    assert (await shop.row(payment)).status is PaymentStatus.CLOSED
    assert shop.merchants.heard(payment) == ["payment.closed"]


async def test_a_payment_that_is_asked_about_is_closed(shop: Shop) -> None:
    run, payment = await shop.pending(await shop.order(policy=BRISK))
    await shop.sent("query", payment.reference)

    await run.cancel()

    assert (await run.result()).status is PaymentStatus.CLOSED
    assert shop.provider.orders[payment.reference].state is Outcome.CLOSED


async def test_a_payment_that_was_paid_meanwhile_succeeds(shop: Shop) -> None:
    run, payment = await shop.pending(await shop.order())
    shop.provider.pay(payment.reference)

    await run.cancel()

    assert (await run.result()).status is PaymentStatus.SUCCEEDED
    assert shop.merchants.heard(payment) == ["payment.succeeded"]


async def test_a_submission_that_gets_no_answer_is_given_up_and_closed(shop: Shop) -> None:
    order = await shop.order(policy=BRISK)
    reference = order.payment.reference
    shop.provider.script(
        "create", reference, Fault(error=unknown()), Fault(hang=True, executed=True)
    )
    run = await shop.start(order)
    await shop.sent("create", reference, 2)

    await run.cancel()

    assert (await run.result()).status is PaymentStatus.CLOSED
    assert shop.provider.orders[reference].state is Outcome.CLOSED


async def test_an_order_that_cannot_be_written_down_yet_is_written_down_and_closed(
    shop: Shop,
) -> None:
    order = await shop.order(policy=BRISK)
    shop.outages.script("record", order.payment.id, gate := asyncio.Event())
    run = await shop.start(order)
    await shop.outages.reached("record", order.payment.id)

    await run.cancel()
    gate.set()

    assert (await run.result()).status is PaymentStatus.CLOSED
    assert (await shop.row(order.payment)).status is PaymentStatus.CLOSED


async def test_money_in_dispute_waits_for_its_person_all_the_same(shop: Shop) -> None:
    order = await shop.order(policy=BRISK)
    run, payment = await parked(shop, order, times=9)

    await run.cancel()

    resolved = await shop.resolve(run, ResolveAction.REFUND)
    assert (resolved.status, resolved.captured) == (PaymentStatus.CLOSED, 500)
    await run.result()
    await shop.refunded(payment, 500)
    assert await completed(run)


async def test_a_dispute_that_dissolves_after_the_cancellation_ends_in_the_close(
    shop: Shop,
) -> None:
    order = await shop.order(policy=BRISK)
    run, payment = await parked(shop, order)

    await run.cancel()
    await shop.resolve(run, ResolveAction.ASK_AGAIN)

    assert (await run.result()).status is PaymentStatus.CLOSED
    assert shop.provider.orders[payment.reference].state is Outcome.CLOSED


async def test_a_payment_whose_end_is_being_written_keeps_its_end(shop: Shop) -> None:
    order = await shop.order(policy=BRISK)
    run, payment = await shop.pending(order)
    shop.outages.down("finalise", payment.id, OUTLASTS_THE_TASK - 1)
    shop.outages.script("finalise", payment.id, gate := asyncio.Event())
    shop.provider.pay(payment.reference)
    await shop.notify(run, order)
    await shop.outages.reached("finalise", payment.id)

    await run.cancel()
    gate.set()

    assert (await run.result()).status is PaymentStatus.SUCCEEDED
    assert shop.provider.sent("close", payment.reference) == 0
    assert shop.merchants.heard(payment) == ["payment.succeeded"]


async def test_a_merchant_is_told_to_the_end_although_the_run_is_cancelled(shop: Shop) -> None:
    order = await shop.order()
    run, payment = await shop.pending(order)
    told = shop.hangs(payment)
    shop.provider.pay(payment.reference)
    await shop.notify(run, order)
    await shop.merchants.hear(payment, "payment.succeeded")

    await run.cancel()
    told.set()

    assert (await run.result()).status is PaymentStatus.SUCCEEDED
    assert await completed(run)
    assert shop.merchants.heard(payment) == ["payment.succeeded"]


async def test_an_order_closed_unseen_is_watched_although_the_run_is_cancelled(
    shop: Shop,
) -> None:
    run, payment = await shop.pending(await shop.order(policy=BRISK, expires_in=2))
    del shop.provider.orders[payment.reference]
    await shop.cancel(run)
    asked = shop.provider.sent("query", payment.reference)

    await run.cancel()

    assert (await run.result()).status is PaymentStatus.CLOSED
    assert shop.provider.sent("query", payment.reference) == asked + 1


async def test_a_refund_that_was_sent_ends_by_the_providers_word(shop: Shop) -> None:
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 500)
    shop.provider.refund_states[order.refund.reference] = RefundOutcome.PENDING
    run = await shop.start_refund(order)
    await shop.sent("refund", order.refund.reference)

    await run.cancel()
    shop.provider.refund_states[order.refund.reference] = RefundOutcome.SUCCEEDED

    assert (await run.result()).status is RefundStatus.SUCCEEDED
    assert (await shop.row(payment)).refunded == 500


async def test_a_refund_that_had_failed_before_is_not_sent_again_by_a_new_run(shop: Shop) -> None:
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 500)
    shop.provider.script("refund", order.refund.reference, Fault(error=rejected()))
    first = await (await shop.start_refund(order)).result()

    again = await (await shop.start_refund(order)).result()

    assert (first.status, again.status) == (RefundStatus.FAILED, RefundStatus.FAILED)
    assert shop.provider.sent("refund", order.refund.reference) == 1
