"""The database is away, or the process dies between a write and its answer."""

import pytest

from domain.payment import PaymentStatus
from domain.refund import RefundStatus
from tests.workflows.shop import BRISK, Shop
from tests.workflows.stores import OUTLASTS_THE_TASK


@pytest.mark.parametrize("verb", ["record", "finalise"])
@pytest.mark.parametrize("times", [1, OUTLASTS_THE_TASK])
async def test_a_payment_waits_for_the_database(shop: Shop, verb: str, times: int) -> None:
    order = await shop.order(policy=BRISK)
    shop.outages.down(verb, order.payment.id, times)

    payment = await shop.paid(order)

    assert shop.outages.left(verb, payment.id) == 0
    row = await shop.row(payment)
    assert (row.status, row.captured) == (PaymentStatus.SUCCEEDED, 1999)
    assert shop.provider.sent("create", payment.reference) == 1
    assert shop.merchants.heard(payment) == ["payment.succeeded"]


@pytest.mark.parametrize("verb", ["reserve", "settle"])
async def test_a_refund_waits_for_the_database(shop: Shop, verb: str) -> None:
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 500)
    shop.outages.down(verb, order.refund.id)

    refund = await (await shop.start_refund(order)).result()

    assert refund.status is RefundStatus.SUCCEEDED
    assert (await shop.row(payment)).refunded == 500
    assert shop.provider.sent("refund", order.refund.reference) == 1
    assert shop.merchants.heard(payment) == ["payment.succeeded", "refund.succeeded"]
