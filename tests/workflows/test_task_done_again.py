"""A task that was lost is done again, with other words in hand: what it had written stands."""

import asyncio

from temporalio.api.enums.v1 import EventType

from domain.merchant import LatePolicy
from domain.payment import PaymentStatus
from domain.refund import RefundCause, RefundStatus
from domain.report import Attention, Outcome, RefundOutcome
from domain.resolution import ResolveAction
from tests.workflows.disputes import parked
from tests.workflows.scripted import Fault, notification, report, unknown
from tests.workflows.shop import PaymentRun, RefundRun, Shop, eventually, named
from workflows.refund import RefundWorkflow
from workflows.starting import refund_options

ACCEPTED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED


async def kinds(run: PaymentRun | RefundRun) -> list[EventType.ValueType]:
    return [event.event_type for event in (await run.fetch_history()).events]


async def _waits(run: PaymentRun) -> bool:
    return not (await run.describe()).raw_description.pending_activities


async def test_a_decision_is_on_record_before_the_end_is_written_down(shop: Shop) -> None:
    run, payment = await parked(shop, await shop.order())
    await eventually(lambda: _waits(run))
    shop.outages.script("finalise", payment.id, written := asyncio.Event())

    deciding = asyncio.create_task(shop.resolve(run, ResolveAction.ACCEPT))
    await shop.outages.reached("finalise", payment.id)

    # The first is the checkout's.
    assert (await kinds(run)).count(ACCEPTED) == 2
    written.set()
    assert (await deciding).status is PaymentStatus.SUCCEEDED
    await run.result()


async def test_a_decision_about_a_refund_is_on_record_before_it_is_settled(shop: Shop) -> None:
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 700)
    refund = order.refund
    shop.provider.refund_states[refund.reference] = RefundOutcome.ABNORMAL
    run = await shop.start_refund(order)
    await shop.refund_flagged(refund, Attention.REFUND_ABNORMAL)
    shop.outages.script("settle", refund.id, settled := asyncio.Event())

    deciding = asyncio.create_task(shop.resolve_refund(run, ResolveAction.CLOSE))
    await shop.outages.reached("settle", refund.id)

    assert (await kinds(run)).count(ACCEPTED) == 1
    settled.set()
    assert (await deciding).status is RefundStatus.FAILED
    await run.result()


async def test_money_that_a_person_accepts_stays_where_a_lost_task_had_closed_the_payment(
    shop: Shop,
) -> None:
    run, payment = await parked(shop, await shop.order(late=LatePolicy.REFUND))
    await shop.payments.finalise(payment.apply(report(payment, Outcome.CLOSED)))

    await shop.resolve(run, ResolveAction.ACCEPT)

    await run.result()
    row = await shop.row(payment)
    assert (row.status, row.captured, row.refunded) == (PaymentStatus.SUCCEEDED, 500, 0)
    assert await shop.refunds.list_for_payment(payment.id) == []


async def test_a_refund_that_succeeded_after_a_lost_task_wrote_its_failure_calls_a_person(
    shop: Shop,
) -> None:
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 700)
    refund = order.refund
    shop.provider.refund_states[refund.reference] = RefundOutcome.PENDING
    run = await shop.start_refund(order)
    await shop.sent("query_refund", refund.reference)
    await shop.refunds.finalise(refund.model_copy(update={"status": RefundStatus.FAILED}))

    done = shop.provider.refund_report(refund, RefundOutcome.SUCCEEDED)
    await shop.say(run, notification(done))

    await shop.refund_flagged(refund, Attention.CONTRADICTION)
    await shop.flagged(payment, Attention.CONTRADICTION)
    assert (await run.result()).status is RefundStatus.FAILED


async def test_a_true_word_that_came_before_less_was_set_aside_calls_nobody(shop: Shop) -> None:
    payment = await shop.paid(await shop.order())
    part = await shop.refunds.reserve(shop.refund_order(payment, 500).refund)
    order = shop.refund_order(payment, 1999)
    owed = order.refund.model_copy(update={"cause": RefundCause.MERCHANT_VETO})
    # It was sent before, by a task that was lost: now the answer is lost.
    shop.provider.script("refund", owed.reference, Fault(error=unknown(), executed=True))
    rest = owed.model_copy(update={"amount": 1499})
    again = order.model_copy(update={"refund": owed})
    options = refund_options(again)
    run = await shop.client.start_workflow(
        RefundWorkflow.run,
        again,
        **named(options),
        start_signal="notify",
        start_signal_args=[
            notification(shop.provider.refund_report(rest, RefundOutcome.SUCCEEDED))
        ],
    )

    ended = await run.result()

    assert (ended.status, ended.amount, ended.attention) == (RefundStatus.SUCCEEDED, 1499, None)
    assert "payment.attention" not in shop.merchants.heard(payment)
    assert part.status is RefundStatus.PENDING


async def test_late_money_that_was_given_back_in_part_before_it_was_accepted_goes_back_whole(
    shop: Shop,
) -> None:
    order = await shop.order(late=LatePolicy.ACCEPT)
    closed = await shop.closed(order)
    shop.provider.pay(closed.reference)
    captured = await shop.payments.capture_late(
        closed.apply(report(closed, Outcome.PAID, closed.amount))
    )
    await (await shop.start_refund(shop.refund_order(captured, 500))).result()

    await (await shop.late(order, closed)).result()

    async def given_back() -> bool:
        return (await shop.row(closed)).refunded == closed.amount

    await eventually(given_back)
    assert shop.provider.refunded(closed.reference) == closed.amount
