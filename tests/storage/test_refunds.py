from uuid import uuid4

import pytest

from domain.errors import Conflict, ConstraintViolation, NotFound
from domain.identity import event_id
from domain.payment import Failure, Payment
from domain.refund import Refund, RefundStatus
from domain.report import Attention
from storage.payments import PaymentStore
from storage.refunds import RefundStore
from tests.storage.making import EventRows, NewPayment, NewRefund, Paid, ended


async def test_a_reserved_refund_reads_back_and_its_money_is_held(
    payments: PaymentStore, refunds: RefundStore, paid: Paid, new_refund: NewRefund
) -> None:
    payment = await paid(amount=1000)
    refund = new_refund(payment, 300, reason="七天无理由")

    assert await refunds.reserve(refund) == refund
    assert await refunds.get(refund.id) == refund
    held = await payments.get(payment.id)
    assert held is not None
    assert (held.refund_reserved, held.refunded, held.refundable) == (300, 0, 700)


async def test_a_repeated_reserve_holds_the_money_once(
    payments: PaymentStore, refunds: RefundStore, paid: Paid, new_refund: NewRefund
) -> None:
    payment = await paid(amount=1000)
    refund = new_refund(payment, 600)

    assert [await refunds.reserve(refund) for _ in range(3)] == [refund] * 3
    held = await payments.get(payment.id)
    assert held is not None
    assert held.refund_reserved == 600


async def test_a_repeat_after_the_end_returns_the_end(
    refunds: RefundStore, paid: Paid, new_refund: NewRefund
) -> None:
    refund = await refunds.reserve(new_refund(await paid()))
    done, _ = await refunds.finalise(ended(refund))

    assert await refunds.reserve(refund) == done


async def test_a_key_reused_with_another_refund_is_refused(
    refunds: RefundStore, paid: Paid, new_refund: NewRefund
) -> None:
    refund = await refunds.reserve(new_refund(await paid()))

    with pytest.raises(Conflict) as refused:
        await refunds.reserve(refund.model_copy(update={"amount": 1, "request_hash": "d" * 64}))

    assert refused.value.code == "idempotency_key_reused"


async def test_more_than_is_left_is_refused_and_the_message_says_what_is_left(
    refunds: RefundStore, paid: Paid, new_refund: NewRefund
) -> None:
    payment = await paid(amount=1000)
    await refunds.reserve(new_refund(payment, 600))
    too_much = new_refund(payment, 401)

    with pytest.raises(Conflict, match="400 is refundable") as refused:
        await refunds.reserve(too_much)

    assert refused.value.code == "refund_exceeds_captured"
    assert await refunds.get(too_much.id) is None


async def test_an_unpaid_payment_has_nothing_to_refund(
    payments: PaymentStore, refunds: RefundStore, new_payment: NewPayment, new_refund: NewRefund
) -> None:
    payment = await payments.record(new_payment())

    with pytest.raises(Conflict) as refused:
        await refunds.reserve(new_refund(payment))

    assert refused.value.code == "payment_not_paid"


async def test_a_refund_in_another_currency_is_refused(
    refunds: RefundStore, paid: Paid, new_refund: NewRefund
) -> None:
    with pytest.raises(Conflict) as refused:
        await refunds.reserve(new_refund(await paid(), currency="USD"))

    assert refused.value.code == "currency_differs"


async def test_a_refund_reserved_as_already_done_is_our_own_mistake_and_is_not_written(
    refunds: RefundStore, paid: Paid, new_refund: NewRefund
) -> None:
    refund = ended(new_refund(await paid()))

    with pytest.raises(ConstraintViolation):
        await refunds.reserve(refund)

    assert await refunds.get(refund.id) is None


async def test_a_merchant_cannot_refund_anothers_payment(
    refunds: RefundStore, paid: Paid, new_payment: NewPayment, new_refund: NewRefund
) -> None:
    payment = await paid()

    with pytest.raises(NotFound):
        await refunds.reserve(new_refund(payment, merchant_id="somebody-else"))
    with pytest.raises(NotFound):
        await refunds.reserve(new_refund(new_payment()))


@pytest.mark.parametrize(
    ("status", "refunded"), [(RefundStatus.SUCCEEDED, 300), (RefundStatus.FAILED, 0)]
)
async def test_a_settled_refund_moves_the_held_money_once_with_one_event(
    payments: PaymentStore,
    refunds: RefundStore,
    paid: Paid,
    new_refund: NewRefund,
    stored_events: EventRows,
    *,
    status: RefundStatus,
    refunded: int,
) -> None:
    payment = await paid(amount=1000)
    refund = ended(await refunds.reserve(new_refund(payment, 300)), status)

    results = [await refunds.finalise(refund) for _ in range(3)]

    event = (await stored_events(payment.id))[1]
    after = await payments.get(payment.id)
    assert results == [(refund, event_id(refund.id, status))] * 3
    assert (event["type"], event["sequence"]) == (f"refund.{status}", 2)
    assert (event["id"], event["refund_id"]) == (results[0][1], refund.id)
    assert after is not None
    assert (after.refund_reserved, after.refunded) == (0, refunded)
    assert len(await stored_events(payment.id)) == 2


async def test_a_late_failure_does_not_take_back_a_refund_that_succeeded(
    refunds: RefundStore, paid: Paid, new_refund: NewRefund
) -> None:
    refund = await refunds.reserve(new_refund(await paid()))
    first = await refunds.finalise(ended(refund))

    assert await refunds.finalise(ended(refund, RefundStatus.FAILED)) == first


async def test_a_failed_refund_frees_its_money_for_another(
    refunds: RefundStore, paid: Paid, new_refund: NewRefund
) -> None:
    payment = await paid()
    refund = await refunds.reserve(new_refund(payment, payment.amount))
    failure = Failure(code="provider_rejected", message="Closed account.")
    failed, _ = await refunds.finalise(
        ended(refund, RefundStatus.FAILED).model_copy(update={"failure": failure})
    )

    again = new_refund(payment, payment.amount)

    assert failed.failure == failure
    assert await refunds.reserve(again) == again


async def test_a_pending_refund_is_not_settled(
    refunds: RefundStore, paid: Paid, new_refund: NewRefund
) -> None:
    refund = await refunds.reserve(new_refund(await paid()))

    assert await refunds.finalise(refund) == (refund, None)


async def test_a_refund_never_reserved_cannot_be_settled(
    refunds: RefundStore, paid: Paid, new_refund: NewRefund
) -> None:
    with pytest.raises(NotFound):
        await refunds.finalise(ended(new_refund(await paid())))


async def test_a_flagged_refund_is_told_once_and_leaves_the_payment_unflagged(
    payments: PaymentStore,
    refunds: RefundStore,
    paid: Paid,
    new_refund: NewRefund,
    stored_events: EventRows,
) -> None:
    payment = await paid()
    refund = await refunds.reserve(new_refund(payment))

    ids = {
        await refunds.flag(refund.id, Attention.REFUND_ABNORMAL, "the card is closed")
        for _ in range(2)
    }

    [_, event] = await stored_events(payment.id)
    flagged, owner = await refunds.get(refund.id), await payments.get(payment.id)
    assert ids == {event["id"]}
    assert (event["type"], event["refund_id"]) == ("payment.attention", refund.id)
    assert f'"refund_id": "{refund.id}"' in event["data"]
    assert flagged is not None
    assert flagged.attention is Attention.REFUND_ABNORMAL
    assert owner is not None
    assert owner.attention is None


async def test_the_same_flag_on_two_refunds_is_two_events(
    refunds: RefundStore, paid: Paid, new_refund: NewRefund, stored_events: EventRows
) -> None:
    payment = await paid()
    for _ in range(2):
        refund = await refunds.reserve(new_refund(payment))
        await refunds.flag(refund.id, Attention.REFUND_FAILED, "no")

    assert [row["sequence"] for row in await stored_events(payment.id)] == [1, 2, 3]


async def test_settling_answers_the_flag(
    refunds: RefundStore, paid: Paid, new_refund: NewRefund
) -> None:
    refund = await refunds.reserve(new_refund(await paid()))
    await refunds.flag(refund.id, Attention.REFUND_ABNORMAL, "the card is closed")

    done, _ = await refunds.finalise(ended(refund))

    assert done.attention is None


async def test_a_merchant_sees_its_own_refunds_only(
    refunds: RefundStore, paid: Paid, new_refund: NewRefund
) -> None:
    refund = await refunds.reserve(new_refund(await paid()))

    assert await refunds.get_for_merchant(refund.merchant_id, refund.id) == refund
    with pytest.raises(NotFound):
        await refunds.get_for_merchant("somebody-else", refund.id)
    with pytest.raises(NotFound):
        await refunds.flag(uuid4(), Attention.REFUND_FAILED, "")


async def test_the_refunds_of_a_payment_are_listed_oldest_first(
    refunds: RefundStore, paid: Paid, new_refund: NewRefund
) -> None:
    payment: Payment = await paid()
    made: list[Refund] = [await refunds.reserve(new_refund(payment)) for _ in range(3)]

    assert await refunds.list_for_payment(payment.id) == made
    assert await refunds.list_for_payment(uuid4()) == []
