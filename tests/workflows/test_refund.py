import asyncio

import pytest
from temporalio.client import WorkflowFailureError

from domain.payment import PaymentStatus
from domain.refund import RefundStatus
from domain.report import Attention, RefundOutcome
from domain.resolution import Resolution, ResolveAction
from tests.workflows.conftest import Shop
from tests.workflows.scripted import Fault, rejected, unknown
from webhooks.sender import WebhookAnswer
from workflows.refund import RefundWorkflow


async def test_a_refund_is_given_back_once_and_told(shop: Shop) -> None:
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 500)

    refund = await (await shop.start_refund(order)).result()

    assert refund.status is RefundStatus.SUCCEEDED
    assert shop.provider.refunded(payment.reference) == 500
    row = await shop.row(payment)
    assert (row.refunded, row.refund_reserved) == (500, 0)
    assert shop.merchants.heard(payment) == ["payment.succeeded", "refund.succeeded"]


async def test_more_than_was_captured_is_refused_before_anything_is_sent(shop: Shop) -> None:
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 2000)

    with pytest.raises(WorkflowFailureError):
        await (await shop.start_refund(order)).result()

    assert shop.provider.sent("refund", order.refund.reference) == 0
    assert (await shop.row(payment)).refund_reserved == 0


async def test_fifty_refunds_at_once_never_give_more_than_was_captured(shop: Shop) -> None:
    payment = await shop.paid(await shop.order(amount=1000))
    orders = [shop.refund_order(payment, 37 + 13 * (turn % 7)) for turn in range(50)]
    handles = await asyncio.gather(*(shop.start_refund(order) for order in orders))

    await asyncio.gather(*(handle.result() for handle in handles), return_exceptions=True)

    row = await shop.row(payment)
    assert row.refund_reserved == 0
    assert row.refunded == shop.provider.refunded(payment.reference)
    assert 1000 - 37 - 13 * 6 < row.refunded <= 1000


async def test_a_refused_refund_frees_the_money_for_another(shop: Shop) -> None:
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 1999)
    shop.provider.script("refund", order.refund.reference, Fault(error=rejected()))

    refund = await (await shop.start_refund(order)).result()
    again = await (await shop.start_refund(shop.refund_order(payment, 1999))).result()

    assert refund.status is RefundStatus.FAILED
    assert again.status is RefundStatus.SUCCEEDED
    assert shop.provider.refunded(payment.reference) == 1999


async def test_an_executed_refund_whose_answer_was_lost_is_not_sent_twice(shop: Shop) -> None:
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 700)
    lost = Fault(error=unknown(), executed=True)
    shop.provider.script("refund", order.refund.reference, lost)

    refund = await (await shop.start_refund(order)).result()

    assert refund.status is RefundStatus.SUCCEEDED
    assert shop.provider.sent("refund", order.refund.reference) == 1
    assert shop.provider.refunded(payment.reference) == 700


async def test_an_accepted_refund_is_asked_about_until_it_is_done(shop: Shop) -> None:
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 700)
    accepted = shop.provider.refund_report(order.refund, RefundOutcome.PENDING)
    shop.provider.script("query_refund", order.refund.reference, Fault(report=accepted))
    shop.provider.refund_state = RefundOutcome.PENDING
    handle = await shop.start_refund(order)
    answered = await handle.execute_update(RefundWorkflow.submitted, order.refund.request_hash)
    shop.provider.refund_state = RefundOutcome.SUCCEEDED

    await shop.env.fast_forward(handle, 60)

    assert answered.status is RefundStatus.PENDING
    assert (await handle.result()).status is RefundStatus.SUCCEEDED


async def test_an_abnormal_refund_calls_a_person_and_can_still_succeed(
    shop: Shop, eventually
) -> None:
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 700)
    shop.provider.refund_state = RefundOutcome.ABNORMAL
    handle = await shop.start_refund(order)

    async def flagged() -> bool:
        found = await shop.refunds.get(order.refund.id)
        return found is not None and found.attention is Attention.REFUND_ABNORMAL

    assert await eventually(flagged)
    shop.provider.refund_state = RefundOutcome.SUCCEEDED
    await shop.env.fast_forward(handle, 8000)

    assert (await handle.result()).status is RefundStatus.SUCCEEDED
    assert "payment.attention" in shop.merchants.heard(payment)


async def test_a_person_can_close_an_abnormal_refund(shop: Shop, eventually) -> None:
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 700)
    shop.provider.refund_state = RefundOutcome.ABNORMAL
    handle = await shop.start_refund(order)

    async def flagged() -> bool:
        found = await shop.refunds.get(order.refund.id)
        return found is not None and found.attention is not None

    assert await eventually(flagged)
    shop.provider.refund_state = RefundOutcome.SUCCEEDED
    await handle.execute_update(
        RefundWorkflow.resolve, Resolution(action=ResolveAction.CLOSE, note="paid in cash")
    )

    assert (await handle.result()).status is RefundStatus.FAILED
    assert (await shop.row(payment)).refund_reserved == 0


async def test_a_merchants_veto_gives_the_money_back(shop: Shop, eventually) -> None:
    order = await shop.order()
    shop.merchants.answers[order.payment.id] = [
        WebhookAnswer(status=200, decision="refund", reason="sold out")
    ]
    payment = await shop.paid(order)

    async def given_back() -> bool:
        return (await shop.row(payment)).refunded == 1999

    assert await eventually(given_back)
    assert payment.status is PaymentStatus.SUCCEEDED
    assert shop.provider.refunded(payment.reference) == 1999
