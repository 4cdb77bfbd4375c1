"""Money that we owe back goes back, whatever refunds the merchant starts at the same moment."""

import asyncio

import pytest
from temporalio.client import WorkflowFailureError

from domain.event import DeliveryStatus
from domain.identity import automatic_refund_id, refund_workflow_id
from domain.payment import Payment
from domain.refund import Refund, RefundCause, RefundStatus
from domain.report import Attention, RefundOutcome
from tests.workflows.shop import BRISK, RefundRun, Shop, eventually
from webhooks.answers import WebhookAnswer
from webhooks.sender import WebhookFailed
from workflows.policies import Attempts, RefundPolicy
from workflows.refund import RefundWorkflow

VETO = WebhookAnswer(status=200, decision="refund", reason="sold out")
HELD = "other refunds hold the money"
DOWN = WebhookFailed("down", status=503)
PATIENT = BRISK.model_copy(
    update={"webhook": Attempts(timeout=5, total=60, first_wait=1, backoff=1, longest_wait=1)}
)


def owed_run(shop: Shop, payment: Payment) -> RefundRun:
    owed = automatic_refund_id(payment.id, "automatic:merchant_veto")
    return shop.client.get_workflow_handle_for(RefundWorkflow.run, refund_workflow_id(owed))


async def vetoed_while_all_is_held(
    shop: Shop, policy: RefundPolicy | None = None
) -> tuple[Payment, Refund]:
    """A veto that finds every fen held by a refund of the merchant's own."""
    order = await shop.order(policy=PATIENT)
    if policy is not None:
        order = order.model_copy(update={"refund_policy": policy})
    run, payment = await shop.pending(order)
    shop.merchants.answers[payment.id] = [DOWN] * 50
    shop.provider.pay(payment.reference)
    await shop.notify(run, order)

    async def captured() -> bool:
        return (await shop.row(payment)).captured > 0

    await eventually(captured)
    held = await shop.refunds.reserve(shop.refund_order(payment, 1999).refund)
    shop.merchants.answers[payment.id] = [VETO]
    await run.result()
    return payment, held


async def waits_for_the_money(run: RefundRun) -> None:
    """The owed refund has left the workflow task and is tried again and again."""

    async def waiting() -> bool:
        found = (await run.describe()).raw_description.pending_activities
        return any(HELD in step.last_failure.message for step in found)

    await eventually(waiting)


async def end(shop: Shop, refund: Refund, status: RefundStatus) -> None:
    """The merchant's own refund ends so, and its merchant knows."""
    ended = refund.model_copy(update={"status": status, "raw_status": "test"})
    _, event = await shop.refunds.finalise(ended)
    assert event is not None
    await shop.events.mark(event, DeliveryStatus.DELIVERED)


async def test_an_owed_refund_gives_back_what_the_merchants_own_refund_left(shop: Shop) -> None:
    order = await shop.order()
    run, payment = await shop.pending(order)
    owed = automatic_refund_id(payment.id, "automatic:merchant_veto")
    shop.merchants.answers[payment.id] = [VETO]
    shop.outages.script("reserve", owed, gate := asyncio.Event())
    shop.provider.pay(payment.reference)
    await shop.notify(run, order)
    await shop.outages.reached("reserve", owed)
    await shop.refunds.reserve(shop.refund_order(payment, 100).refund)

    gate.set()
    refund = await owed_run(shop, payment).result()

    assert (refund.status, refund.amount) == (RefundStatus.SUCCEEDED, 1899)
    assert shop.provider.refunded(payment.reference) == 1899
    row = await shop.row(payment)
    assert (row.refunded, row.refund_reserved) == (1899, 100)


async def test_an_owed_refund_waits_for_a_refund_that_holds_everything_and_fails(
    shop: Shop,
) -> None:
    payment, held = await vetoed_while_all_is_held(shop)
    run = owed_run(shop, payment)
    await waits_for_the_money(run)

    await end(shop, held, RefundStatus.FAILED)

    assert (await run.result()).status is RefundStatus.SUCCEEDED
    await shop.refunded(payment, 1999)


async def test_an_owed_refund_ends_quietly_where_all_was_given_back_meanwhile(shop: Shop) -> None:
    payment, held = await vetoed_while_all_is_held(shop)
    run = owed_run(shop, payment)
    await waits_for_the_money(run)

    await end(shop, held, RefundStatus.SUCCEEDED)

    ended = await run.result()
    assert ended.status is RefundStatus.FAILED
    assert ended.failure is not None
    assert ended.failure.code == "already_given_back"
    row = await shop.row(payment)
    assert (row.refunded, row.refund_reserved, row.attention) == (1999, 0, None)
    assert shop.provider.sent("refund", ended.reference) == 0


async def test_an_owed_refund_that_our_books_refuse_calls_a_person(shop: Shop) -> None:
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 700)
    refund = order.refund.model_copy(update={"cause": RefundCause.LATE_PAYMENT, "currency": "USD"})
    run = await shop.start_refund(order.model_copy(update={"refund": refund}))

    with pytest.raises(WorkflowFailureError):
        await run.result()

    assert (await shop.row(payment)).attention is Attention.REFUND_FAILED
    assert shop.merchants.heard(payment)[1:] == ["payment.attention"]


async def test_a_merchants_own_refund_that_fails_leaves_nothing_of_a_duplicate_unseen(
    shop: Shop,
) -> None:
    """The owed refund took what was left; what the other held is free again, and nobody's."""
    first, second = await shop.order(), await shop.order()
    same = {name: getattr(first.payment, name) for name in ("merchant_id", "order_no")}
    twin = second.model_copy(update={"payment": second.payment.model_copy(update=same)})
    run, _ = await shop.pending(twin)
    await shop.paid(first)
    owed = automatic_refund_id(twin.payment.id, "automatic:duplicate_payment")
    shop.outages.script("reserve", owed, gate := asyncio.Event())
    shop.provider.pay(twin.payment.reference)
    await shop.notify(run, twin)
    await shop.outages.reached("reserve", owed)
    payment = await shop.row(twin.payment)
    assert payment.duplicate
    own = shop.refund_order(payment, 1000)
    shop.provider.refund_states[own.refund.reference] = RefundOutcome.PENDING
    own_run = await shop.start_refund(own)
    await shop.sent("refund", own.refund.reference)
    gate.set()

    async def the_rest_is_given_back() -> bool:
        return (await shop.row(payment)).refunded == 999

    await eventually(the_rest_is_given_back)
    shop.provider.refund_states[own.refund.reference] = RefundOutcome.FAILED
    assert (await own_run.result()).status is RefundStatus.FAILED

    await shop.flagged(payment, Attention.REFUND_FAILED)
