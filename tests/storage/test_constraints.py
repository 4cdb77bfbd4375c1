"""Past the stores: what PostgreSQL itself refuses, whatever the code above it does."""

from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from domain.payment import Payment
from domain.refund import Refund, RefundStatus
from storage.payments import PaymentStore
from storage.refunds import RefundStore
from tests.storage.making import NewPayment, NewRefund, Paid, closed, ended, paid_late
from tests.storage.raw import Raw, refused


@pytest.fixture
async def pending(payments: PaymentStore, new_payment: NewPayment, sql: asyncpg.Connection) -> Raw:
    payment = await payments.record(new_payment())
    return Raw(sql, "payments", payment.id)


@pytest.fixture
async def paid_payment(paid: Paid) -> Payment:
    return await paid(amount=1000)


@pytest.fixture
def succeeded(paid_payment: Payment, sql: asyncpg.Connection) -> Raw:
    return Raw(sql, "payments", paid_payment.id)


@pytest.fixture
async def shut(payments: PaymentStore, new_payment: NewPayment, sql: asyncpg.Connection) -> Raw:
    payment = closed(await payments.record(new_payment()))
    await payments.finalise(payment)
    return Raw(sql, "payments", payment.id)


@pytest.fixture
async def held(refunds: RefundStore, paid_payment: Payment, new_refund: NewRefund) -> Refund:
    return await refunds.reserve(new_refund(paid_payment, 300))


@pytest.fixture
def refund(held: Refund, sql: asyncpg.Connection) -> Raw:
    return Raw(sql, "refunds", held.id)


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("payments_status_known", {"status": "paid"}),
        ("payments_channel_known", {"channel": "fax"}),
        ("payments_amount_positive", {"amount": 0}),
        ("payments_amount_positive", {"amount": -1}),
        ("payments_currency_code", {"currency": "yuan"}),
        ("payments_captured_not_negative", {"captured": -1}),
        ("payments_reserved_not_negative", {"refund_reserved": -1}),
        ("payments_refunded_not_negative", {"refunded": -1}),
        ("payments_refunds_within_captured", {"refund_reserved": 1}),
        ("payments_captured_where_paid", {"captured": 1999}),
        ("payments_captured_where_paid", {"status": "succeeded"}),
        ("payments_captured_where_paid", {"late": True}),
        ("payments_captured_where_paid", {"product_id": "p", "status": "succeeded"}),
        (
            "payments_captured_where_paid",
            {"product_id": "p", "status": "succeeded", "store_price": 10},
        ),
        ("payments_store_price_where_product", {"test": True}),
        ("payments_store_price_where_product", {"store_price": 0}),
        ("payments_offer_known", {"product_id": "p", "offer": "gift"}),
        ("payments_store_price_not_negative", {"product_id": "p", "store_price": -1}),
        ("payments_duplicate_where_succeeded", {"duplicate": True}),
        ("payments_merchant_id_fkey", {"merchant_id": "nobody"}),
        ("payments_order_no_check", {"order_no": ""}),
    ],
)
async def test_a_payment_row_that_makes_no_sense_is_refused(
    pending: Raw, rule: str, changes: dict[str, Any]
) -> None:
    with refused(rule):
        await pending.copy(**({"idempotency_key": uuid4().hex} | changes))


async def test_one_key_of_a_merchant_is_one_payment(pending: Raw) -> None:
    with refused("payments_one_per_key"):
        await pending.copy()


async def test_an_order_succeeds_once_unless_marked_as_a_duplicate(succeeded: Raw) -> None:
    other = {"idempotency_key": uuid4().hex, "provider_reference": uuid4().hex}

    with refused("payments_one_success_per_order"):
        await succeeded.copy(**other)

    await succeeded.copy(**other, duplicate=True)


async def test_a_provider_reference_is_captured_once_per_account(succeeded: Raw) -> None:
    other = {"idempotency_key": uuid4().hex, "order_no": uuid4().hex}

    with refused("payments_one_per_provider_reference"):
        await succeeded.copy(**other)

    await succeeded.copy(**other, account="another")


@pytest.mark.parametrize("status", ["pending", "failed", "closed"])
async def test_a_success_is_never_downgraded(succeeded: Raw, status: str) -> None:
    with refused("payments_status_final"):
        await succeeded.update(f"status = '{status}', late = true")


@pytest.mark.parametrize("status", ["pending", "failed"])
async def test_a_closed_payment_becomes_nothing_else(shut: Raw, status: str) -> None:
    with refused("payments_status_final"):
        await shut.update(f"status = '{status}'")


async def test_a_closed_payment_succeeds_only_as_late(shut: Raw) -> None:
    with refused("payments_status_final"):
        await shut.update("status = 'succeeded', captured = amount")

    await shut.update("status = 'succeeded', captured = amount, late = true")


@pytest.mark.parametrize(
    "assignment",
    [
        "amount = 1",
        "currency = 'USD'",
        "id = gen_random_uuid()",
        "order_no = 'other'",
        "idempotency_key = 'other'",
        "request_hash = 'other'",
        "provider = 'other'",
        "account = 'other'",
        "channel = 'app'",
        "created_at = now()",
    ],
)
async def test_what_was_asked_for_does_not_change(pending: Raw, assignment: str) -> None:
    with refused("payments_request_fixed"):
        await pending.update(assignment)


@pytest.mark.parametrize(
    "assignment",
    ["captured = 999", "captured = 1001", "duplicate = true", "last_sequence = 0"],
)
async def test_money_that_moved_stays_moved(succeeded: Raw, assignment: str) -> None:
    with refused("payments_money_forward"):
        await succeeded.update(assignment)


async def test_money_given_back_is_not_taken_again(
    refunds: RefundStore, held: Refund, succeeded: Raw
) -> None:
    await refunds.finalise(ended(held))

    with refused("payments_money_forward"):
        await succeeded.update("refunded = 0")


async def test_a_late_payment_stays_late(
    payments: PaymentStore, new_payment: NewPayment, sql: asyncpg.Connection
) -> None:
    payment = closed(await payments.record(new_payment()))
    await payments.finalise(payment)
    await payments.capture_late(paid_late(payment))
    await payments.accept_late(payment.id)

    with refused("payments_money_forward"):
        await Raw(sql, "payments", payment.id).update("late = false")


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("refunds_status_known", {"status": "abnormal"}),
        ("refunds_cause_known", {"cause": "boredom"}),
        ("refunds_amount_positive", {"amount": 0}),
        ("refunds_currency_code", {"currency": "¥"}),
        ("refunds_payment_id_fkey", {"payment_id": str(uuid4()), "status": "failed"}),
    ],
)
async def test_a_refund_row_that_makes_no_sense_is_refused(
    refund: Raw, rule: str, changes: dict[str, Any]
) -> None:
    with refused(rule):
        await refund.copy(**({"idempotency_key": uuid4().hex} | changes))


async def test_one_key_of_a_payment_is_one_refund(refund: Raw) -> None:
    with refused("refunds_one_per_key"):
        await refund.copy()


@pytest.mark.parametrize("status", ["pending", "succeeded"])
async def test_a_refund_that_ended_does_not_begin_again(
    refunds: RefundStore, held: Refund, sql: asyncpg.Connection, status: str
) -> None:
    await refunds.finalise(ended(held, RefundStatus.FAILED))

    with refused("refunds_status_final"):
        await Raw(sql, "refunds", held.id).update(f"status = '{status}'")


@pytest.mark.parametrize("assignment", ["amount = 1", "currency = 'USD'", "cause = 'operator'"])
async def test_what_a_refund_asked_for_does_not_change(refund: Raw, assignment: str) -> None:
    with refused("refunds_request_fixed"):
        await refund.update(assignment)


async def test_a_refund_beside_the_payments_sums_is_refused_at_commit(refund: Raw) -> None:
    with refused("payments_refunds_balance"):
        await refund.copy(idempotency_key=uuid4().hex, amount=1)


@pytest.mark.parametrize("status", ["succeeded", "failed"])
async def test_a_refund_settled_without_its_payment_is_refused_at_commit(
    refund: Raw, status: str
) -> None:
    with refused("payments_refunds_balance"):
        await refund.update(f"status = '{status}'")


@pytest.mark.parametrize(
    "assignment",
    ["refund_reserved = 299", "refund_reserved = 0", "refunded = 300", "refund_reserved = 301"],
)
async def test_sums_beside_their_refunds_are_refused_at_commit(
    refund: Raw, succeeded: Raw, assignment: str
) -> None:
    with refused("payments_refunds_balance"):
        await succeeded.update(assignment)


async def test_a_payment_is_not_inserted_with_refunds_that_nobody_asked_for(
    succeeded: Raw,
) -> None:
    with refused("payments_refunds_balance"):
        await succeeded.copy(
            idempotency_key=uuid4().hex, order_no=uuid4().hex, account="another", refunded=1000
        )


@pytest.mark.parametrize("table", ["payments", "refunds", "events"])
@pytest.mark.parametrize("removal", ["DELETE FROM {}", "TRUNCATE {} CASCADE"])
async def test_nothing_of_the_money_is_ever_removed(
    sql: asyncpg.Connection, refund: Raw, table: str, removal: str
) -> None:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="never removed"):
        await sql.execute(removal.format(table))


@pytest.mark.parametrize(
    ("rule", "assignment"),
    [
        ("events_content_fixed", "data = '{}'"),
        ("events_content_fixed", "sequence = 7"),
        ("events_content_fixed", "type = 'payment.failed'"),
        ("events_delivery_known", "delivery = 'lost'"),
    ],
)
async def test_what_a_merchant_is_told_does_not_change(
    sql: asyncpg.Connection, paid_payment: Payment, rule: str, assignment: str
) -> None:
    with refused(rule):
        await sql.execute(
            f"UPDATE events SET {assignment} WHERE payment_id = $1",  # noqa: S608 - as above
            paid_payment.id,
        )


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("events_one_per_change", {"sequence": 2}),
        ("events_in_order", {"type": "payment.closed"}),
        ("events_sequence_positive", {"type": "payment.closed", "sequence": 0}),
        ("events_type_known", {"type": "payment.maybe", "sequence": 2}),
    ],
)
async def test_a_change_is_told_once_and_in_order(
    sql: asyncpg.Connection, paid_payment: Payment, rule: str, changes: dict[str, Any]
) -> None:
    event_id = await sql.fetchval("SELECT id FROM events WHERE payment_id = $1", paid_payment.id)

    with refused(rule):
        await Raw(sql, "events", event_id).copy(**changes)
