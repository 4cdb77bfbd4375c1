"""Refunds that need a person, and the verbs that a person has."""

import pytest
from temporalio.client import WorkflowUpdateFailedError

from domain.payment import Payment
from domain.refund import Refund, RefundStatus
from domain.report import Attention, RefundOutcome
from domain.resolution import ResolveAction
from tests.workflows.scripted import notification
from tests.workflows.shop import RefundRun, Shop, refusal


async def refunding(shop: Shop, state: RefundOutcome) -> tuple[Payment, Refund, RefundRun]:
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 700)
    shop.provider.refund_states[order.refund.reference] = state
    run = await shop.start_refund(order)
    # A report that comes before the money is reserved is dropped: the provider is queried later.
    await shop.sent("refund", order.refund.reference)
    return payment, order.refund, run


async def abnormal(shop: Shop) -> tuple[Payment, Refund, RefundRun]:
    payment, refund, run = await refunding(shop, RefundOutcome.ABNORMAL)
    await shop.refund_flagged(refund, Attention.REFUND_ABNORMAL)
    return payment, refund, run


async def mismatched(shop: Shop) -> tuple[Payment, Refund, RefundRun]:
    payment, refund, run = await refunding(shop, RefundOutcome.PENDING)
    wrong = shop.provider.refund_report(refund, RefundOutcome.SUCCEEDED)
    for _ in range(2):
        await shop.say(run, notification(wrong.model_copy(update={"amount": 1})))
    await shop.refund_flagged(refund, Attention.AMOUNT_MISMATCH)
    return payment, refund, run


async def test_an_abnormal_refund_calls_a_person_and_can_still_succeed(shop: Shop) -> None:
    payment, refund, run = await abnormal(shop)
    await shop.sent("query_refund", refund.reference)
    shop.provider.refund_states[refund.reference] = RefundOutcome.SUCCEEDED

    ended = await run.result()

    assert (ended.status, ended.attention) == (RefundStatus.SUCCEEDED, None)
    assert (await shop.refund_row(refund)).attention is None
    heard = shop.merchants.heard(payment)
    assert heard == ["payment.succeeded", "payment.attention", "refund.succeeded"]


async def test_a_refund_that_turns_abnormal_calls_a_person(shop: Shop) -> None:
    _, refund, run = await refunding(shop, RefundOutcome.PENDING)
    said = shop.provider.refund_report(refund, RefundOutcome.ABNORMAL)
    await shop.say(run, notification(said))

    await shop.refund_flagged(refund, Attention.REFUND_ABNORMAL)

    shop.provider.refund_states[refund.reference] = RefundOutcome.SUCCEEDED
    assert (await run.result()).status is RefundStatus.SUCCEEDED


async def test_a_person_can_close_an_abnormal_refund(shop: Shop) -> None:
    payment, _, run = await abnormal(shop)

    closed = await shop.resolve_refund(run, ResolveAction.CLOSE)

    assert closed.status is RefundStatus.FAILED
    assert closed.failure is not None
    assert closed.failure.code == "closed_by_operator"
    await run.result()
    assert (await shop.row(payment)).refund_reserved == 0


async def test_a_person_can_accept_a_refund_as_done(shop: Shop) -> None:
    payment, _, run = await abnormal(shop)

    assert (await shop.resolve_refund(run, ResolveAction.ACCEPT)).status is RefundStatus.SUCCEEDED

    await run.result()
    assert (await shop.row(payment)).refunded == 700


async def test_asked_again_a_refund_that_is_still_abnormal_calls_again(shop: Shop) -> None:
    _, refund, run = await abnormal(shop)

    asked = await shop.resolve_refund(run, ResolveAction.ASK_AGAIN)

    assert asked.status is RefundStatus.PENDING
    await shop.refund_flagged(refund, Attention.REFUND_ABNORMAL)
    shop.provider.refund_states[refund.reference] = RefundOutcome.SUCCEEDED
    assert (await run.result()).status is RefundStatus.SUCCEEDED


async def test_another_amount_parks_the_refund_until_it_is_asked_about_once(shop: Shop) -> None:
    payment, refund, run = await mismatched(shop)
    shop.provider.refund_states[refund.reference] = RefundOutcome.SUCCEEDED

    await shop.resolve_refund(run, ResolveAction.ASK_AGAIN)

    assert (await run.result()).status is RefundStatus.SUCCEEDED
    assert (await shop.row(payment)).refunded == 700


async def test_a_right_word_ends_the_parking_of_a_refund(shop: Shop) -> None:
    _, refund, run = await mismatched(shop)

    right = shop.provider.refund_report(refund, RefundOutcome.SUCCEEDED)
    await shop.say(run, notification(right))

    ended = await run.result()
    assert (ended.status, ended.attention) == (RefundStatus.SUCCEEDED, None)


async def test_sync_settles_a_parked_refund(shop: Shop) -> None:
    _, refund, run = await mismatched(shop)
    shop.provider.refund_states[refund.reference] = RefundOutcome.SUCCEEDED

    synced: Refund = await run.execute_update("sync", result_type=Refund)

    assert synced.status is RefundStatus.SUCCEEDED
    await run.result()


async def test_sync_of_a_pending_refund_leaves_it_pending(shop: Shop) -> None:
    _, refund, run = await refunding(shop, RefundOutcome.PENDING)

    synced: Refund = await run.execute_update("sync", result_type=Refund)

    assert synced.status is RefundStatus.PENDING
    shop.provider.refund_states[refund.reference] = RefundOutcome.SUCCEEDED
    await run.result()


async def test_sync_of_a_settled_refund_asks_nobody(shop: Shop) -> None:
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 700)
    told = shop.hangs(payment)
    run = await shop.start_refund(order)
    await run.execute_update("submitted", order.refund.request_hash)

    synced: Refund = await run.execute_update("sync", result_type=Refund)
    told.set()

    assert synced.status is RefundStatus.SUCCEEDED
    await run.result()
    assert shop.provider.sent("query_refund", order.refund.reference) == 0


async def test_a_refund_that_needs_no_person_is_not_resolved(shop: Shop) -> None:
    _, refund, run = await refunding(shop, RefundOutcome.PENDING)

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await shop.resolve_refund(run, ResolveAction.CLOSE)

    assert refusal(refused.value) == "not_resolvable"
    shop.provider.refund_states[refund.reference] = RefundOutcome.SUCCEEDED
    await run.result()


async def test_a_refund_is_not_refunded(shop: Shop) -> None:
    _, refund, run = await abnormal(shop)

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await shop.resolve_refund(run, ResolveAction.REFUND)

    assert refusal(refused.value) == "invalid_request"
    shop.provider.refund_states[refund.reference] = RefundOutcome.SUCCEEDED
    await run.result()
