import asyncio

import pytest
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError

from domain.payment import Payment
from domain.refund import Refund, RefundCause, RefundStatus
from domain.report import Attention, RefundOutcome
from domain.resolution import ResolveAction
from tests.workflows.scripted import Fault, notification, rejected, unknown
from tests.workflows.shop import RefundRun, Shop, refusal
from webhooks.answers import WebhookAnswer
from workflows.refund import RefundOrder


async def refund_of(
    shop: Shop, amount: int = 700, state: RefundOutcome = RefundOutcome.SUCCEEDED
) -> tuple[Payment, RefundOrder]:
    """A paid payment and a refund of it that the provider will find in `state`."""
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, amount)
    shop.provider.refund_states[order.refund.reference] = state
    return payment, order


async def submitted(run: RefundRun, order: RefundOrder) -> Refund:
    found: Refund = await run.execute_update(
        "submitted", order.refund.request_hash, result_type=Refund
    )
    return found


async def test_a_refund_is_given_back_once_and_told(shop: Shop) -> None:
    payment, order = await refund_of(shop, 500)

    refund = await (await shop.start_refund(order)).result()

    assert refund.status is RefundStatus.SUCCEEDED
    assert shop.provider.refunded(payment.reference) == 500
    row = await shop.row(payment)
    assert (row.refunded, row.refund_reserved) == (500, 0)
    assert shop.merchants.heard(payment) == ["payment.succeeded", "refund.succeeded"]


async def test_more_than_was_captured_is_refused_before_anything_is_sent(shop: Shop) -> None:
    payment, order = await refund_of(shop, 2000)
    shop.outages.down("reserve", order.refund.id)
    run = await shop.start_refund(order)

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await submitted(run, order)
    with pytest.raises(WorkflowFailureError):
        await run.result()

    assert refusal(refused.value) == "refund_exceeds_captured"
    assert shop.provider.sent("refund", order.refund.reference) == 0
    assert (await shop.row(payment)).refund_reserved == 0


async def test_fifty_refunds_at_once_never_give_more_than_was_captured(shop: Shop) -> None:
    payment = await shop.paid(await shop.order(amount=1000))
    orders = [shop.refund_order(payment, 37 + 13 * (turn % 7)) for turn in range(50)]
    runs = await asyncio.gather(*(shop.start_refund(order) for order in orders))

    answers = await asyncio.gather(*map(submitted, runs, orders), return_exceptions=True)

    assert len(answers) == 50
    row = await shop.row(payment)
    assert row.refund_reserved == 0
    assert row.refunded == shop.provider.refunded(payment.reference)
    assert 1000 - 37 - 13 * 6 < row.refunded <= 1000


async def test_a_refused_refund_frees_the_money_for_another(shop: Shop) -> None:
    payment, order = await refund_of(shop, 1999)
    shop.provider.script("refund", order.refund.reference, Fault(error=rejected()))

    refund = await (await shop.start_refund(order)).result()
    again = await (await shop.start_refund(shop.refund_order(payment, 1999))).result()

    assert refund.status is RefundStatus.FAILED
    assert refund.failure is not None
    assert refund.failure.provider_code == "NO"
    assert again.status is RefundStatus.SUCCEEDED
    assert shop.provider.refunded(payment.reference) == 1999
    assert shop.merchants.heard(payment)[1:] == ["refund.failed", "refund.succeeded"]


async def test_a_refusal_of_a_refund_that_was_executed_is_not_believed(shop: Shop) -> None:
    payment, order = await refund_of(shop)
    refused = Fault(error=rejected("ALREADY_REFUNDED"), executed=True)
    shop.provider.script("refund", order.refund.reference, refused)

    refund = await (await shop.start_refund(order)).result()

    assert refund.status is RefundStatus.SUCCEEDED
    assert (await shop.row(payment)).refunded == 700


async def test_an_executed_refund_whose_answer_was_lost_is_not_sent_twice(shop: Shop) -> None:
    payment, order = await refund_of(shop)
    lost = Fault(error=unknown(), executed=True)
    shop.provider.script("refund", order.refund.reference, lost)

    refund = await (await shop.start_refund(order)).result()

    assert refund.status is RefundStatus.SUCCEEDED
    assert shop.provider.sent("refund", order.refund.reference) == 1
    assert shop.provider.refunded(payment.reference) == 700


async def test_a_refund_that_never_arrived_is_sent_again_under_its_number(shop: Shop) -> None:
    payment, order = await refund_of(shop)
    shop.provider.script("refund", order.refund.reference, *[Fault(error=unknown())] * 2)

    refund = await (await shop.start_refund(order)).result()

    assert refund.status is RefundStatus.SUCCEEDED
    assert shop.provider.orders[payment.reference].refunds == {order.refund.reference: 700}


async def test_a_refund_that_never_arrived_and_is_then_refused_frees_the_money(
    shop: Shop,
) -> None:
    payment, order = await refund_of(shop)
    shop.provider.script(
        "refund", order.refund.reference, Fault(error=unknown()), Fault(error=rejected())
    )

    refund = await (await shop.start_refund(order)).result()

    assert refund.status is RefundStatus.FAILED
    assert refund.failure is not None
    assert refund.failure.provider_code == "NO"
    row = await shop.row(payment)
    assert (row.refund_reserved, row.refunded) == (0, 0)


async def test_a_question_refused_after_a_lost_answer_frees_no_money(shop: Shop) -> None:
    payment, order = await refund_of(shop)
    lost = Fault(error=unknown(), executed=True)
    shop.provider.script("refund", order.refund.reference, lost)
    shop.provider.script("query_refund", order.refund.reference, Fault(error=rejected("NO_AUTH")))

    refund = await (await shop.start_refund(order)).result()

    assert refund.status is RefundStatus.SUCCEEDED
    assert (await shop.row(payment)).refunded == shop.provider.refunded(payment.reference) == 700


async def test_an_account_that_is_gone_is_a_case_for_a_person(shop: Shop) -> None:
    payment, order = await refund_of(shop)
    gone = order.model_copy(update={"payment": payment.model_copy(update={"account": "gone"})})
    run = await shop.start_refund(gone)

    await shop.refund_flagged(order.refund, Attention.OUTCOME_UNKNOWN)

    assert (await shop.row(payment)).refund_reserved == 700
    await shop.resolve_refund(run, ResolveAction.CLOSE)
    assert (await run.result()).status is RefundStatus.FAILED


async def test_a_success_that_was_notified_is_not_undone_by_a_refusal(shop: Shop) -> None:
    payment, order = await refund_of(shop)
    gate = asyncio.Event()
    reference = order.refund.reference
    missing = Fault(report=shop.provider.refund_report(order.refund, RefundOutcome.NOT_FOUND))
    faults = Fault(error=unknown(), executed=True), Fault(error=rejected(), gate=gate)
    shop.provider.script("refund", reference, *faults)
    shop.provider.script("query_refund", reference, missing, missing)
    run = await shop.start_refund(order)
    await shop.sent("refund", reference, 2)

    await shop.say(run, notification(shop.provider.refund_report(order.refund)))
    gate.set()

    assert (await run.result()).status is RefundStatus.SUCCEEDED
    assert (await shop.row(payment)).refunded == 700


async def test_an_accepted_refund_is_asked_about_until_it_is_done(shop: Shop) -> None:
    _, order = await refund_of(shop, state=RefundOutcome.PENDING)
    run = await shop.start_refund(order)

    answered = await submitted(run, order)
    await shop.sent("query_refund", order.refund.reference)
    shop.provider.refund_states[order.refund.reference] = RefundOutcome.SUCCEEDED

    assert answered.status is RefundStatus.PENDING
    assert (await run.result()).status is RefundStatus.SUCCEEDED


async def test_a_notified_refund_is_not_asked_about(shop: Shop) -> None:
    payment, order = await refund_of(shop, state=RefundOutcome.PENDING)
    slow = order.policy.model_copy(update={"grace": 60})
    run = await shop.start_refund(order.model_copy(update={"policy": slow}))
    await submitted(run, order)

    done = shop.provider.refund_report(order.refund, RefundOutcome.SUCCEEDED)
    for _ in range(3):
        await shop.say(run, notification(done))

    assert (await run.result()).status is RefundStatus.SUCCEEDED
    assert shop.provider.sent("query_refund", order.refund.reference) == 0
    assert shop.merchants.heard(payment) == ["payment.succeeded", "refund.succeeded"]


async def test_a_notification_stops_the_asking(shop: Shop) -> None:
    _, order = await refund_of(shop, state=RefundOutcome.PENDING)
    run = await shop.start_refund(order)
    await shop.sent("query_refund", order.refund.reference)

    done = shop.provider.refund_report(order.refund, RefundOutcome.SUCCEEDED)
    await shop.say(run, notification(done))

    assert (await run.result()).status is RefundStatus.SUCCEEDED


async def test_a_payments_notification_is_not_the_refunds_business(shop: Shop) -> None:
    payment, order = await refund_of(shop, state=RefundOutcome.PENDING)
    run = await shop.start_refund(order)
    await shop.say(run, notification(await shop.provider.query(payment)))
    shop.provider.refund_states[order.refund.reference] = RefundOutcome.FAILED

    refund = await run.result()

    assert refund.status is RefundStatus.FAILED
    assert refund.attention is None
    assert (await shop.row(payment)).refund_reserved == 0


async def test_an_accepted_refund_that_is_gone_is_sent_again_under_its_number(
    shop: Shop,
) -> None:
    payment, order = await refund_of(shop, state=RefundOutcome.PENDING)
    reference = order.refund.reference
    missing = Fault(report=shop.provider.refund_report(order.refund, RefundOutcome.NOT_FOUND))
    shop.provider.script("query_refund", reference, Fault(error=rejected("NO_AUTH")), missing)
    run = await shop.start_refund(order)
    await shop.sent("refund", reference, 2)
    shop.provider.refund_states[reference] = RefundOutcome.SUCCEEDED

    assert (await run.result()).status is RefundStatus.SUCCEEDED
    assert shop.provider.orders[payment.reference].refunds == {reference: 700}


async def test_a_refund_that_is_gone_and_then_refused_is_a_case_for_a_person(shop: Shop) -> None:
    payment, order = await refund_of(shop, state=RefundOutcome.PENDING)
    reference = order.refund.reference
    missing = Fault(report=shop.provider.refund_report(order.refund, RefundOutcome.NOT_FOUND))
    # Asked once before it is sent again, and once more before the refusal is believed.
    shop.provider.script("query_refund", reference, missing, missing)
    shop.provider.script("refund", reference, Fault(executed=True), Fault(error=rejected()))
    run = await shop.start_refund(order)

    await shop.refund_flagged(order.refund, Attention.OUTCOME_UNKNOWN)

    assert (await shop.row(payment)).refund_reserved == 700
    accepted = await shop.resolve_refund(run, ResolveAction.ACCEPT)
    assert accepted.status is RefundStatus.SUCCEEDED
    await run.result()
    assert (await shop.row(payment)).refunded == 700


async def test_the_key_of_another_refund_is_refused(shop: Shop) -> None:
    _, order = await refund_of(shop, state=RefundOutcome.PENDING)
    run = await shop.start_refund(order)

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await run.execute_update("submitted", "another request")

    assert refusal(refused.value) == "idempotency_key_reused"
    shop.provider.refund_states[order.refund.reference] = RefundOutcome.SUCCEEDED
    await run.result()


async def test_a_refund_started_again_after_its_end_does_nothing(shop: Shop) -> None:
    payment, order = await refund_of(shop)
    await (await shop.start_refund(order)).result()

    again = await (await shop.start_refund(order)).result()

    assert again.status is RefundStatus.SUCCEEDED
    assert shop.provider.sent("refund", order.refund.reference) == 1
    assert (await shop.row(payment)).refunded == 700


async def test_a_refund_of_our_own_accord_that_fails_calls_a_person(shop: Shop) -> None:
    payment, order = await refund_of(shop)
    owed = order.refund.model_copy(update={"cause": RefundCause.LATE_PAYMENT})
    shop.provider.script("refund", owed.reference, Fault(error=rejected()))
    shop.merchants.answers[payment.id] = [WebhookAnswer(status=200)]

    run = await shop.start_refund(order.model_copy(update={"refund": owed}))

    assert (await run.result()).status is RefundStatus.FAILED
    assert (await shop.row(payment)).attention is Attention.REFUND_FAILED
    assert shop.merchants.heard(payment)[1:] == ["refund.failed", "payment.attention"]
