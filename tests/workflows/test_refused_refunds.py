"""A refund whose money is found missing after its merchant was answered that it is taken on."""

from datetime import timedelta

import pytest
from temporalio.client import WorkflowFailureError

from domain.errors import Conflict
from domain.payment import Payment
from domain.refund import Refund, RefundStatus
from storage.refunds import RefundStore
from tests.workflows.shop import Shop
from workflows.refund import ANSWERED_BY, RefundOrder


async def too_much(shop: Shop, *, ago: float) -> tuple[Payment, RefundOrder]:
    """A refund of more than was captured, requested so many seconds ago."""
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, payment.amount + 1)
    requested_at = order.refund.created_at - timedelta(seconds=ago)
    refund = order.refund.model_copy(update={"created_at": requested_at})
    return payment, order.model_copy(update={"refund": refund})


async def test_a_refund_that_is_refused_after_its_answer_is_recorded_as_failed_and_sent(
    shop: Shop,
) -> None:
    payment, order = await too_much(shop, ago=ANSWERED_BY + 30)

    ended = await (await shop.start_refund(order)).result()

    row = await shop.refund_row(order.refund)
    assert (ended.status, row.status) == (RefundStatus.FAILED, RefundStatus.FAILED)
    assert row.failure is not None
    assert row.failure.code == "refund_exceeds_captured"
    left = await shop.row(payment)
    assert (left.refundable, left.refund_reserved, left.refunded) == (1999, 0, 0)
    assert shop.merchants.heard(payment) == ["payment.succeeded", "refund.failed"]
    assert shop.provider.sent("refund", order.refund.reference) == 0


async def test_a_refund_that_is_refused_in_its_answer_leaves_no_row(shop: Shop) -> None:
    payment, order = await too_much(shop, ago=0)

    with pytest.raises(WorkflowFailureError):
        await (await shop.start_refund(order)).result()

    assert await shop.refunds.get(order.refund.id) is None
    assert shop.merchants.heard(payment) == ["payment.succeeded"]


async def test_a_refund_of_no_payment_is_refused_and_leaves_no_row(shop: Shop) -> None:
    payment, order = await too_much(shop, ago=ANSWERED_BY + 30)
    strange = order.refund.model_copy(update={"merchant_id": "m-other"})

    with pytest.raises(WorkflowFailureError):
        await (await shop.start_refund(order.model_copy(update={"refund": strange}))).result()

    assert await shop.refunds.list_for_payment(payment.id) == []


async def test_a_refused_refund_is_recorded_once(shop: Shop) -> None:
    payment, order = await too_much(shop, ago=0)
    failed = order.refund.model_copy(update={"status": RefundStatus.FAILED})

    first = await shop.refunds.record_refused(failed)
    again = await shop.refunds.record_refused(failed)

    assert first == again
    assert first[0].status is RefundStatus.FAILED
    assert first[1] is not None
    assert len(await shop.refunds.list_for_payment(payment.id)) == 1


async def test_a_refund_that_its_request_reserved_meanwhile_is_never_called_failed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment, order = await too_much(shop, ago=ANSWERED_BY + 30)
    refund = order.refund.model_copy(update={"amount": payment.amount})
    reserve = RefundStore.reserve

    async def refused_at_first(store: RefundStore, asked: Refund) -> Refund:
        # Another refund held the money; it fails, and the request's own reservation finds it.
        await reserve(store, asked)
        raise Conflict("1 is refundable.", code="refund_exceeds_captured")

    monkeypatch.setattr(RefundStore, "reserve", refused_at_first)
    run = await shop.start_refund(order.model_copy(update={"refund": refund}))

    assert (await run.result()).status is RefundStatus.SUCCEEDED
    assert (await shop.row(payment)).refunded == payment.amount
    assert shop.merchants.heard(payment) == ["payment.succeeded", "refund.succeeded"]
