"""The statements that move a refund's money; each locks the payment first.

Built once, at import, and filled by `parameters`, as the payments' are.
"""

from typing import Any

from sqlalchemy import BindParameter, case, exists, insert, select, update

from domain.refund import Refund, RefundStatus
from storage.outbox import appended
from storage.rows import REFUND_COLUMNS, named, parameter, refund_values
from storage.tables import payments, refunds


def parameters(refund: Refund) -> dict[str, Any]:
    """What fills every statement here."""
    return named(refund_values(refund))


def _given(name: str) -> BindParameter[Any]:
    return parameter(refunds.c[name])


_HELD = (
    update(payments)
    .where(
        payments.c.id == _given("payment_id"),
        payments.c.merchant_id == _given("merchant_id"),
        payments.c.currency == _given("currency"),
        payments.c.captured - payments.c.refunded - payments.c.refund_reserved >= _given("amount"),
        ~exists().where(refunds.c.id == _given("id")),
    )
    .values(refund_reserved=payments.c.refund_reserved + _given("amount"))
    .returning(payments.c.id)
    .cte("held")
)
_NEW = (
    insert(refunds)
    .from_select(REFUND_COLUMNS, select(*map(_given, REFUND_COLUMNS)).select_from(_HELD))
    .returning(*refunds.c)
    .cte("new")
)
# Hold the money on the payment and insert the refund: both or neither.
RESERVE = select(_NEW)

_LOCKED = (
    select(payments.c.id)
    .where(payments.c.id == _given("payment_id"))
    .with_for_update()
    .cte("locked")
)
_SETTLED = (
    update(refunds)
    .where(
        refunds.c.id == _given("id"),
        refunds.c.payment_id == _LOCKED.c.id,
        refunds.c.status == RefundStatus.PENDING.value,
    )
    .values(
        status=_given("status"),
        provider_reference=_given("provider_reference"),
        raw_status=_given("raw_status"),
        refunded_at=_given("refunded_at"),
        attention=_given("attention"),
        attention_detail=None,
        failure=_given("failure"),
    )
    .returning(*refunds.c)
    .cte("settled")
)
_GIVEN_BACK = case((_SETTLED.c.status == RefundStatus.SUCCEEDED.value, _SETTLED.c.amount), else_=0)
_MOVED = (
    update(payments)
    .where(payments.c.id == _SETTLED.c.payment_id)
    .values(
        refund_reserved=payments.c.refund_reserved - _SETTLED.c.amount,
        refunded=payments.c.refunded + _GIVEN_BACK,
        last_sequence=payments.c.last_sequence + 1,
    )
    .returning(payments.c.id, payments.c.merchant_id, payments.c.last_sequence)
    .cte("moved")
)
# From pending to the refund's final status, its money given back or free again, with its event.
SETTLE = select(_SETTLED).add_cte(appended(_MOVED))
