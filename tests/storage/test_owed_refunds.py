"""Refunds that we owe take what is there: no amount is asked of us."""

import asyncio

import pytest

from domain.errors import Conflict
from domain.refund import RefundCause, RefundStatus
from storage.payments import PaymentStore
from storage.refunds import ALREADY_GIVEN_BACK, HELD_BY_OTHERS, RefundStore
from tests.storage.making import NewPayment, NewRefund, Paid, ended

OWED = RefundCause.MERCHANT_VETO


async def test_an_owed_refund_takes_what_another_refund_left(
    payments: PaymentStore, refunds: RefundStore, paid: Paid, new_refund: NewRefund
) -> None:
    payment = await paid(amount=1000)
    await refunds.reserve(new_refund(payment, 300))
    owed = new_refund(payment, 1000, cause=OWED)

    assert [(await refunds.reserve(owed)).amount for _ in range(3)] == [700] * 3

    held = await payments.get(payment.id)
    assert held is not None
    assert (held.refund_reserved, held.refundable) == (1000, 0)


async def test_an_owed_refund_never_takes_more_than_it_names(
    refunds: RefundStore, paid: Paid, new_refund: NewRefund
) -> None:
    payment = await paid(amount=1000)

    assert (await refunds.reserve(new_refund(payment, 400, cause=OWED))).amount == 400


async def test_an_owed_refund_settles_with_the_amount_that_it_took(
    payments: PaymentStore, refunds: RefundStore, paid: Paid, new_refund: NewRefund
) -> None:
    payment = await paid(amount=1000)
    await refunds.finalise(ended(await refunds.reserve(new_refund(payment, 300))))
    owed = await refunds.reserve(new_refund(payment, 1000, cause=OWED))

    await refunds.finalise(ended(owed))

    row = await payments.get(payment.id)
    assert row is not None
    assert (row.refunded, row.refund_reserved) == (1000, 0)


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (RefundStatus.PENDING, HELD_BY_OTHERS),
        (RefundStatus.FAILED, None),
        (RefundStatus.SUCCEEDED, ALREADY_GIVEN_BACK),
    ],
)
async def test_where_nothing_is_left_an_owed_refund_says_whether_that_can_change(
    refunds: RefundStore,
    paid: Paid,
    new_refund: NewRefund,
    *,
    status: RefundStatus,
    why: str | None,
) -> None:
    payment = await paid(amount=1000)
    await refunds.finalise(ended(await refunds.reserve(new_refund(payment, 1000)), status))
    owed = new_refund(payment, 1000, cause=OWED)

    if why is None:
        assert (await refunds.reserve(owed)).amount == 1000
        return
    with pytest.raises(Conflict) as refused:
        await refunds.reserve(owed)
    assert refused.value.code == why
    assert await refunds.get(owed.id) is None


async def test_an_owed_refund_of_an_unpaid_payment_is_refused(
    payments: PaymentStore, refunds: RefundStore, new_payment: NewPayment, new_refund: NewRefund
) -> None:
    payment = await payments.record(new_payment())

    with pytest.raises(Conflict) as refused:
        await refunds.reserve(new_refund(payment, 1, cause=OWED))

    assert refused.value.code == "payment_not_paid"


async def test_owed_and_asked_refunds_at_once_hold_exactly_what_was_captured(
    payments: PaymentStore, refunds: RefundStore, paid: Paid, new_refund: NewRefund
) -> None:
    payment = await paid(amount=1000)
    asked = [new_refund(payment, 70) for _ in range(10)]
    owed = new_refund(payment, 1000, cause=OWED)

    found = await asyncio.gather(
        *(refunds.reserve(refund) for refund in [*asked[:5], owed, owed, *asked[5:]]),
        return_exceptions=True,
    )

    row = await payments.get(payment.id)
    stored = await refunds.list_for_payment(payment.id)
    assert len(found) == 12
    assert row is not None
    assert row.refund_reserved == sum(refund.amount for refund in stored) == 1000
