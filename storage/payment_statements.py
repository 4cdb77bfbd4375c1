"""The statements that change a payment.

Each names the state it may start from: a repeat, or a row that moved on, matches nothing. They are
built once, at import, for building one costs more than PostgreSQL takes to run it; `parameters`
fills them.
"""

from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    and_,
    case,
    exists,
    func,
    null,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from domain.payment import Payment, PaymentStatus
from domain.report import MISMATCHES
from storage.outbox import appended
from storage.rows import PAYMENT_COLUMNS, named, parameter, payment_values
from storage.tables import payments

# Names of indexes (migrations/initial/payments.sql).
ONE_SUCCESS = "payments_one_success_per_order"
ONE_PER_REFERENCE = "payments_one_per_provider_reference"

_UNPAID = (PaymentStatus.CLOSED.value, PaymentStatus.FAILED.value)
# What a store reports with a purchase.
_OF_STORE = ("test", "store_price", "store_currency", "offer")
# Columns of a payment that another transaction may have set since the caller read it.
_LIVE = ("duplicate", "attention", "metadata")


def parameters(payment: Payment) -> dict[str, Any]:
    """What fills every statement here."""
    return named(payment_values(payment))


def _given(name: str) -> BindParameter[Any]:
    return parameter(payments.c[name])


def _order_is_paid() -> ColumnElement[bool]:
    other = payments.alias("other")
    return exists().where(
        other.c.merchant_id == _given("merchant_id"),
        other.c.order_no == _given("order_no"),
        other.c.status == PaymentStatus.SUCCEEDED.value,
        ~other.c.duplicate,
        other.c.id != _given("id"),
    )


def _kept_reference() -> ColumnElement[str]:
    """The provider's reference, which a report without one does not erase."""
    return func.coalesce(_given("provider_reference"), payments.c.provider_reference)


def _standing(column: ColumnElement[Any], *, paid: ColumnElement[bool]) -> ColumnElement[Any]:
    """The value of an attention column, NULL where the capture ends it.

    In the capturing statement: the workflow that raised the attention may have ended.
    """
    ended = and_(paid, payments.c.attention.in_(sorted(MISMATCHES)))
    return case((ended, null()), else_=column)


def _attention(paid: ColumnElement[bool]) -> dict[str, ColumnElement[Any]]:
    return {
        name: _standing(payments.c[name], paid=paid) for name in ("attention", "attention_detail")
    }


_NEW = (
    insert(payments)
    .from_select(PAYMENT_COLUMNS, select(*map(_given, PAYMENT_COLUMNS)).where(~_order_is_paid()))
    # On any conflict: of two concurrent inserts of the same row, the later may meet the other's key
    # before it meets its id, and a conflict on another constraint is an error.
    .on_conflict_do_nothing()
    .returning(*payments.c)
    .cte("new")
)
# Insert unless the order is paid or the id is there; select the row, new or old.
RECORD = select(_NEW).union_all(select(payments).where(payments.c.id == _given("id")))

# Only while pending: a late attempt must not store the checkout of a closed order.
SAVE_CHECKOUT = (
    update(payments)
    .where(payments.c.id == _given("id"), payments.c.status == PaymentStatus.PENDING.value)
    .values(checkout=_given("checkout"), provider_reference=_kept_reference())
    .returning(payments.c.id)
)

_IS_PAID = _given("status") == PaymentStatus.SUCCEEDED.value
_FINAL = (
    update(payments)
    .where(payments.c.id == _given("id"), payments.c.status == PaymentStatus.PENDING.value)
    .values(
        status=_given("status"),
        captured=_given("captured"),
        **{name: _given(name) for name in _OF_STORE},
        late=_given("late"),
        provider_reference=_kept_reference(),
        raw_status=_given("raw_status"),
        paid_at=_given("paid_at"),
        failure=_given("failure"),
        duplicate=and_(_IS_PAID, _order_is_paid()),
        **_attention(_IS_PAID),
        last_sequence=payments.c.last_sequence + 1,
    )
    .returning(*payments.c)
    .cte("changed")
)
# From pending to the payment's final status, with its event.
FINALISE = select(_FINAL).add_cte(appended(_FINAL, *_LIVE))

_CAPTURED = (
    update(payments)
    .where(
        payments.c.id == _given("id"),
        payments.c.status.in_(_UNPAID),
        ~payments.c.late,
    )
    .values(
        late=True,
        captured=_given("captured"),
        **{name: _given(name) for name in _OF_STORE},
        provider_reference=_kept_reference(),
        raw_status=_given("raw_status"),
        paid_at=_given("paid_at"),
        **_attention(true()),
    )
    .returning(*payments.c)
    .cte("changed")
)
# Money of a closed or failed payment: captured once, the status unchanged.
CAPTURE_LATE = select(_CAPTURED)

_ACCEPTED = (
    update(payments)
    .where(
        payments.c.id == _given("id"),
        payments.c.status.in_(_UNPAID),
        payments.c.late,
        payments.c.refund_reserved + payments.c.refunded == 0,
    )
    .values(
        status=PaymentStatus.SUCCEEDED.value,
        failure=None,
        duplicate=_order_is_paid(),
        last_sequence=payments.c.last_sequence + 1,
    )
    .returning(*payments.c)
    .cte("changed")
)
# From closed or failed to succeeded, with its event, unless the money is being refunded.
ACCEPT_LATE = select(_ACCEPTED).add_cte(appended(_ACCEPTED, *_LIVE))
