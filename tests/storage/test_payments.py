from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest

from domain.checkout import Checkout, CheckoutKind, Created
from domain.errors import Conflict, ConstraintViolation, NotFound, ReportMismatch
from domain.identity import event_id
from domain.merchant import Merchant
from domain.payment import Failure, Payer, Payment, PaymentStatus
from domain.report import Attention
from storage.payments import PaymentStore
from tests.storage.making import EventRows, NewPayment, Paid, closed, succeeded


async def test_a_recorded_payment_reads_back_as_it_was(
    payments: PaymentStore, new_payment: NewPayment
) -> None:
    payment = new_payment(return_url="https://tea.example/done")

    assert await payments.record(payment) == payment
    assert await payments.get(payment.id) == payment


async def test_nothing_of_the_payer_reaches_the_database(
    payments: PaymentStore, new_payment: NewPayment, sql: asyncpg.Connection
) -> None:
    payment = new_payment(payer=Payer(open_id="oUpF8-secret", client_ip="203.0.113.9"))

    stored = await payments.record(payment)

    row = await sql.fetchval("SELECT to_jsonb(p)::text FROM payments p WHERE id = $1", payment.id)
    assert "oUpF8-secret" not in row
    assert "203.0.113.9" not in row
    assert stored.payer == Payer()


async def test_a_repeated_record_returns_the_row_as_it_stands_now(
    payments: PaymentStore, new_payment: NewPayment
) -> None:
    payment = new_payment()
    await payments.record(payment)
    final, _ = await payments.finalise(succeeded(payment))

    assert await payments.record(payment) == final


async def test_a_key_reused_with_another_request_is_rejected(
    payments: PaymentStore, new_payment: NewPayment
) -> None:
    payment = new_payment()
    await payments.record(payment)
    other = payment.model_copy(update={"amount": 1, "request_hash": "c" * 64})

    with pytest.raises(Conflict) as refused:
        await payments.record(other)

    assert refused.value.code == "idempotency_key_reused"
    assert await payments.get(payment.id) == payment


async def test_an_order_that_is_paid_takes_no_new_payment(
    payments: PaymentStore, new_payment: NewPayment, paid: Paid
) -> None:
    first = await paid(order_no="one-order")
    second = new_payment(order_no="one-order")

    with pytest.raises(Conflict) as refused:
        await payments.record(second)

    assert refused.value.code == "order_already_paid"
    assert await payments.get(second.id) is None
    assert await payments.record(first) == first


async def test_an_order_may_be_tried_again_after_a_failure(
    payments: PaymentStore, new_payment: NewPayment
) -> None:
    first = await payments.record(new_payment(order_no="again"))
    await payments.finalise(first.model_copy(update={"status": PaymentStatus.FAILED}))

    second = new_payment(order_no="again")

    assert await payments.record(second) == second


async def test_the_checkout_is_kept_and_a_known_provider_reference_is_not_forgotten(
    payments: PaymentStore, new_payment: NewPayment
) -> None:
    payment = await payments.record(new_payment())
    checkout = Checkout(
        kind=CheckoutKind.SDK, parameters={"prepayid": "wx1"}, expires_at=payment.expires_at
    )

    await payments.save_checkout(
        payment.id, Created(checkout=checkout, provider_reference="2026112222001")
    )
    await payments.save_checkout(payment.id, Created(checkout=checkout))

    stored = await payments.get(payment.id)
    assert stored is not None
    assert stored.checkout == checkout
    assert stored.provider_reference == "2026112222001"


async def test_finalise_writes_the_row_and_its_event_together(
    payments: PaymentStore, new_payment: NewPayment, stored_events: EventRows
) -> None:
    payment = succeeded(await payments.record(new_payment()))

    final, event = await payments.finalise(payment)

    [row] = await stored_events(payment.id)
    assert final == payment
    assert event == row["id"] == event_id(payment.id, "succeeded")
    assert (row["type"], row["sequence"], row["delivery"]) == ("payment.succeeded", 1, "waiting")


async def test_a_failure_keeps_the_providers_own_reports(
    payments: PaymentStore, new_payment: NewPayment
) -> None:
    failure = Failure(code="provider_rejected", message="No.", provider_message="余额不足")
    payment = await payments.record(new_payment())

    final, event = await payments.finalise(
        payment.model_copy(update={"status": PaymentStatus.FAILED, "failure": failure})
    )

    assert final.failure == failure
    assert event == event_id(payment.id, "failed")


async def test_a_contradicting_repeat_changes_nothing_and_says_what_is_stored(
    payments: PaymentStore, new_payment: NewPayment, stored_events: EventRows
) -> None:
    payment = await payments.record(new_payment())
    first = await payments.finalise(succeeded(payment))

    assert await payments.finalise(closed(payment)) == first
    assert len(await stored_events(payment.id)) == 1


async def test_a_pending_payment_is_not_finalised(
    payments: PaymentStore, new_payment: NewPayment, stored_events: EventRows
) -> None:
    payment = await payments.record(new_payment())

    assert await payments.finalise(payment) == (payment, None)
    assert await stored_events(payment.id) == []


async def test_a_second_success_of_an_order_is_marked_as_the_duplicate(
    payments: PaymentStore, new_payment: NewPayment, stored_events: EventRows
) -> None:
    first = await payments.record(new_payment(order_no="twice"))
    second = await payments.record(new_payment(order_no="twice"))
    await payments.finalise(succeeded(first))

    final, _ = await payments.finalise(succeeded(second))

    [event] = await stored_events(second.id)
    assert final.duplicate
    assert '"duplicate": true' in event["data"]


async def test_one_provider_reference_cannot_pay_two_payments(
    payments: PaymentStore, new_payment: NewPayment
) -> None:
    first = await payments.record(new_payment())
    second = await payments.record(new_payment())
    await payments.finalise(succeeded(first, provider_reference=first.id.hex))

    with pytest.raises(ReportMismatch):
        await payments.finalise(succeeded(second, provider_reference=first.id.hex))

    assert await payments.get(second.id) == second


async def test_a_success_without_money_is_our_own_mistake_and_is_not_written(
    payments: PaymentStore, new_payment: NewPayment
) -> None:
    payment = await payments.record(new_payment())

    with pytest.raises(ConstraintViolation):
        await payments.finalise(succeeded(payment, captured=0))

    assert await payments.get(payment.id) == payment


@pytest.mark.parametrize("end", [succeeded, closed])
async def test_a_payment_that_has_ended_gets_no_checkout_any_more(
    payments: PaymentStore, new_payment: NewPayment, end: Callable[[Payment], Payment]
) -> None:
    final, _ = await payments.finalise(end(await payments.record(new_payment())))

    late = Checkout(kind=CheckoutKind.QR, value="https://qr.test/1")
    await payments.save_checkout(final.id, Created(checkout=late, provider_reference="another"))

    assert await payments.get(final.id) == final


async def test_what_is_not_there_is_not_found(payments: PaymentStore, merchant: Merchant) -> None:
    nobody = uuid4()

    assert await payments.get(nobody) is None
    with pytest.raises(NotFound):
        await payments.get_for_merchant(merchant.id, nobody)
    with pytest.raises(NotFound):
        await payments.clear(nobody)
    with pytest.raises(NotFound):
        await payments.clear(nobody, Attention.CONTRADICTION)
    with pytest.raises(NotFound):
        await payments.flag(nobody, Attention.CONTRADICTION, "")
    with pytest.raises(NotFound):
        await payments.save_checkout(nobody, Created(checkout=Checkout(kind=CheckoutKind.NONE)))


async def test_a_payment_never_recorded_cannot_be_finalised(
    payments: PaymentStore, new_payment: NewPayment
) -> None:
    with pytest.raises(NotFound):
        await payments.finalise(succeeded(new_payment()))


async def test_a_merchant_does_not_see_anothers_payment(payments: PaymentStore, paid: Paid) -> None:
    payment = await paid()

    assert await payments.get_for_merchant(payment.merchant_id, payment.id) == payment
    with pytest.raises(NotFound):
        await payments.get_for_merchant("somebody-else", payment.id)


async def test_times_survive_to_the_microsecond(
    payments: PaymentStore, new_payment: NewPayment
) -> None:
    payment = await payments.record(new_payment())
    paid_at = payment.created_at + timedelta(microseconds=1)

    final, _ = await payments.finalise(succeeded(payment, paid_at=paid_at))

    assert final.paid_at == paid_at
