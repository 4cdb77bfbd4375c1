"""The statements that change a payment.

Each names the state it may start from: a repeat, or a row that moved on, matches nothing.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import ReturningUpdate
from sqlalchemy.sql.selectable import CompoundSelect

from domain.checkout import Created
from domain.payment import Payment, PaymentStatus
from storage.rows import payment_values
from storage.tables import payments

# Names of the migration's indexes.
ONE_SUCCESS = "payments_one_success_per_order"
ONE_PER_REFERENCE = "payments_one_per_provider_reference"

_UNPAID = (PaymentStatus.CLOSED.value, PaymentStatus.FAILED.value)


def record(payment: Payment) -> CompoundSelect[Any]:
    """Insert unless the order is paid or the id is there; select the row, new or old."""
    values = payment_values(payment)
    row: Select[Any] = select(
        *(literal(value, payments.c[name].type) for name, value in values.items())
    ).where(~_order_is_paid(payment))
    new = (
        insert(payments)
        .from_select(list(values), row)
        .on_conflict_do_nothing(index_elements=[payments.c.id])
        .returning(*payments.c)
        .cte("new")
    )
    return select(new).union_all(select(payments).where(payments.c.id == payment.id))


def save_checkout(payment_id: UUID, created: Created) -> ReturningUpdate[Any]:
    """The checkout, and the provider's reference where it already says one."""
    return (
        update(payments)
        .where(payments.c.id == payment_id)
        .values(
            checkout=created.checkout.model_dump(mode="json"),
            provider_reference=_kept_reference(created.provider_reference),
        )
        .returning(payments.c.id)
    )


def finalise(payment: Payment) -> ReturningUpdate[Any]:
    """From pending to the payment's final status."""
    succeeded = payment.status is PaymentStatus.SUCCEEDED
    return (
        update(payments)
        .where(payments.c.id == payment.id, payments.c.status == PaymentStatus.PENDING.value)
        .values(
            status=payment.status.value,
            captured=payment.captured,
            late=payment.late,
            provider_reference=_kept_reference(payment.provider_reference),
            raw_status=payment.raw_status,
            paid_at=payment.paid_at,
            failure=payment.failure and payment.failure.model_dump(mode="json"),
            duplicate=_order_is_paid(payment) if succeeded else payments.c.duplicate,
            last_sequence=payments.c.last_sequence + 1,
        )
        .returning(*payments.c)
    )


def capture_late(payment: Payment) -> ReturningUpdate[Any]:
    """Money for a closed or failed payment: counted once, the status untouched."""
    return (
        update(payments)
        .where(
            payments.c.id == payment.id,
            payments.c.status.in_(_UNPAID),
            payments.c.captured == 0,
        )
        .values(
            late=True,
            captured=payment.captured,
            provider_reference=_kept_reference(payment.provider_reference),
            raw_status=payment.raw_status,
            paid_at=payment.paid_at,
        )
        .returning(*payments.c)
    )


def accept_late(payment: Payment) -> ReturningUpdate[Any]:
    """From closed or failed to succeeded, unless the money is on its way back."""
    return (
        update(payments)
        .where(
            payments.c.id == payment.id,
            payments.c.status.in_(_UNPAID),
            payments.c.late,
            payments.c.refund_reserved + payments.c.refunded == 0,
        )
        .values(
            status=PaymentStatus.SUCCEEDED.value,
            failure=None,
            duplicate=_order_is_paid(payment),
            last_sequence=payments.c.last_sequence + 1,
        )
        .returning(*payments.c)
    )


def _order_is_paid(payment: Payment) -> ColumnElement[bool]:
    other = payments.alias("other")
    return exists().where(
        other.c.merchant_id == payment.merchant_id,
        other.c.order_no == payment.order_no,
        other.c.status == PaymentStatus.SUCCEEDED.value,
        ~other.c.duplicate,
        other.c.id != payment.id,
    )


def _kept_reference(reference: str | None) -> ColumnElement[str]:
    """The provider's reference once said is not forgotten by a report that leaves it out."""
    return func.coalesce(
        literal(reference, payments.c.provider_reference.type), payments.c.provider_reference
    )
