"""A refund that the provider does not answer: a person is told, and everything goes on."""

import asyncio

import pytest
from temporalio.client import (
    WorkflowUpdateFailedError,
    WorkflowUpdateHandle,
    WorkflowUpdateStage,
)

from domain.payment import Payment
from domain.refund import Refund, RefundStatus
from domain.report import Attention
from domain.resolution import Resolution, ResolveAction
from tests.workflows.scripted import Fault, notification, unknown
from tests.workflows.shop import RefundRun, Shop, refusal

SILENCE = [Fault(error=unknown())] * 500


async def unanswered(
    shop: Shop, *faults: Fault, alarm_after: float = 1
) -> tuple[Payment, Refund, RefundRun]:
    """A refund whose submissions meet these faults."""
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 700)
    shop.provider.script("refund", order.refund.reference, *faults)
    policy = order.policy.model_copy(update={"alarm_after": alarm_after})
    run = await shop.start_refund(order.model_copy(update={"policy": policy}))
    return payment, order.refund, run


async def test_silence_calls_a_person_once_and_the_refund_is_asked_about_on(shop: Shop) -> None:
    payment, refund, run = await unanswered(shop, *SILENCE)
    await shop.refund_flagged(refund, Attention.OUTCOME_UNKNOWN)
    asked = shop.provider.sent("refund", refund.reference)
    await shop.sent("refund", refund.reference, asked + 2)

    shop.provider.faults.clear()

    ended = await run.result()
    assert (ended.status, ended.attention) == (RefundStatus.SUCCEEDED, None)
    assert shop.provider.refunded(payment.reference) == 700
    heard = shop.merchants.heard(payment)
    assert heard == ["payment.succeeded", "payment.attention", "refund.succeeded"]


async def test_a_short_silence_calls_nobody(shop: Shop) -> None:
    payment, _, run = await unanswered(shop, *SILENCE[:3], alarm_after=60)

    assert (await run.result()).status is RefundStatus.SUCCEEDED
    assert shop.merchants.heard(payment) == ["payment.succeeded", "refund.succeeded"]


@pytest.mark.parametrize(
    ("action", "status", "refunded"),
    [
        (ResolveAction.CLOSE, RefundStatus.FAILED, 0),
        (ResolveAction.ACCEPT, RefundStatus.SUCCEEDED, 700),
    ],
)
async def test_a_person_settles_a_refund_that_is_never_answered(
    shop: Shop, *, action: ResolveAction, status: RefundStatus, refunded: int
) -> None:
    payment, refund, run = await unanswered(shop, *SILENCE)
    await shop.refund_flagged(refund, Attention.OUTCOME_UNKNOWN)

    resolved = await shop.resolve_refund(run, action)

    assert resolved.status is status
    await run.result()
    row = await shop.row(payment)
    assert (row.refunded, row.refund_reserved) == (refunded, 0)


async def test_asked_again_a_silent_refund_is_submitted_on(shop: Shop) -> None:
    payment, refund, run = await unanswered(shop, *SILENCE)
    await shop.refund_flagged(refund, Attention.OUTCOME_UNKNOWN)

    await shop.resolve_refund(run, ResolveAction.ASK_AGAIN)
    shop.provider.faults.clear()

    assert (await run.result()).status is RefundStatus.SUCCEEDED
    assert shop.provider.refunded(payment.reference) == 700


async def test_before_the_alarm_nobody_decides(shop: Shop) -> None:
    _, refund, run = await unanswered(shop, *SILENCE, alarm_after=60)
    await shop.sent("refund", refund.reference, 2)

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await shop.resolve_refund(run, ResolveAction.CLOSE)

    assert refusal(refused.value) == "not_resolvable"
    shop.provider.faults.clear()
    await run.result()


async def test_a_notification_ends_the_submitting_at_once(shop: Shop) -> None:
    hangs = Fault(executed=True, gate=asyncio.Event())
    payment, refund, run = await unanswered(shop, Fault(error=unknown()), hangs, alarm_after=60)
    await shop.sent("refund", refund.reference, 2)

    await shop.say(run, notification(shop.provider.refund_report(refund)))

    async with asyncio.timeout(4):
        assert (await run.result()).status is RefundStatus.SUCCEEDED
    assert (await shop.row(payment)).refunded == 700


async def test_what_the_last_attempt_did_outweighs_the_decision_that_ended_it(shop: Shop) -> None:
    gate = asyncio.Event()
    executed = Fault(executed=True, gate=gate)
    payment, refund, run = await unanswered(shop, Fault(error=unknown()), executed)
    await shop.refund_flagged(refund, Attention.OUTCOME_UNKNOWN)

    closing: WorkflowUpdateHandle[Refund] = await run.start_update(
        "resolve",
        Resolution(action=ResolveAction.CLOSE, note="seen by test"),
        wait_for_stage=WorkflowUpdateStage.ACCEPTED,
        result_type=Refund,
    )
    gate.set()

    assert (await closing.result()).status is RefundStatus.SUCCEEDED
    await run.result()
    assert (await shop.row(payment)).refunded == shop.provider.refunded(payment.reference) == 700
