"""A refund at the provider's console is recorded once, and its merchant gets one event."""

import pytest

from domain.errors import Conflict
from domain.event import DeliveryStatus
from domain.payment import Payment
from domain.report import Attention
from engine.external_refunds import record_external_refund
from tests.domain.making import at_console
from tests.workflows.shop import BRISK, Shop
from webhooks.sender import WebhookFailed
from workflows.external_refund import ExternalRefundOrder
from workflows.starting import external_refund_options


async def paid_and_flagged(shop: Shop) -> Payment:
    payment = await shop.paid(await shop.order(policy=BRISK))
    event = await shop.payments.flag(payment.id, Attention.EXTERNAL_REFUND, "after the end")
    assert event is not None
    await shop.events.mark(event, DeliveryStatus.DELIVERED)
    return payment


async def test_it_is_recorded_answered_and_sent_to_the_merchant(shop: Shop) -> None:
    payment = await paid_and_flagged(shop)

    refund = await record_external_refund(shop.client, payment, at_console(payment, 700))

    row = await shop.row(payment)
    assert (row.refunded, row.refundable, row.attention) == (700, payment.captured - 700, None)
    assert await shop.refund_row(refund) == refund
    await shop.merchants.hear(payment, "payment.succeeded", "refund.succeeded")


async def test_a_repeat_changes_nothing_and_is_answered_alike(shop: Shop) -> None:
    payment = await paid_and_flagged(shop)
    first = await record_external_refund(shop.client, payment, at_console(payment, 700))
    await shop.merchants.hear(payment, "payment.succeeded", "refund.succeeded")

    again = await record_external_refund(shop.client, payment, at_console(payment, 700))

    assert again == first
    assert (await shop.row(payment)).refunded == 700
    run = shop.client.get_workflow_handle(
        external_refund_options(ExternalRefundOrder(refund=first), payment).id
    )
    await run.result()
    assert shop.merchants.heard(payment).count("refund.succeeded") == 1


async def test_what_does_not_fit_is_refused_and_the_attention_stays(shop: Shop) -> None:
    payment = await paid_and_flagged(shop)

    with pytest.raises(Conflict, match="is refundable") as refused:
        await record_external_refund(
            shop.client, payment, at_console(payment, payment.captured + 1)
        )

    assert refused.value.code == "refund_exceeds_captured"
    row = await shop.row(payment)
    assert (row.refunded, row.attention) == (0, Attention.EXTERNAL_REFUND)
    fitting = await record_external_refund(
        shop.client, payment, at_console(payment, payment.captured)
    )
    assert fitting.amount == payment.captured


async def test_a_merchant_that_is_away_delays_no_answer(shop: Shop) -> None:
    payment = await paid_and_flagged(shop)
    shop.merchants.answers[payment.id] = [WebhookFailed("down", status=503)] * 2

    refund = await record_external_refund(shop.client, payment, at_console(payment, 1))

    assert refund.amount == 1
    assert shop.merchants.heard(payment) == ["payment.succeeded"]
    await shop.merchants.hear(payment, "payment.succeeded", "refund.succeeded")
