"""The statements that move a refund's money; each locks the payment first.

Built once, at import, and filled by `parameters`, as the payments' are.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    bindparam,
    case,
    exists,
    func,
    insert,
    select,
    update,
)

from domain.refund import Refund, RefundCause, RefundStatus
from domain.report import Attention
from storage.outbox import Entry, appended
from storage.rows import REFUND_COLUMNS, named, parameter, refund_values
from storage.tables import payments, refunds


def parameters(refund: Refund) -> dict[str, Any]:
    """What fills every statement here."""
    return named(refund_values(refund))


def reserving(refund: Refund) -> dict[str, Any]:
    """What fills RESERVE: all or nothing for a request, what is refundable for an automatic one."""
    requested = refund.cause is RefundCause.REQUESTED
    return parameters(refund) | {"at_least": refund.amount if requested else 1}


def recording(refund: Refund, entry: Entry) -> dict[str, Any]:
    """What fills RECORD_EXTERNAL: recorded whole or not at all."""
    return parameters(refund) | entry.parameters | {"at_least": refund.amount}


def _given(name: str) -> BindParameter[Any]:
    return parameter(refunds.c[name])


_REFUNDABLE = payments.c.captured - payments.c.refunded - payments.c.refund_reserved
_TAKEN = (
    select(payments.c.id, func.least(_given("amount"), _REFUNDABLE).label("amount"))
    .where(
        payments.c.id == _given("payment_id"),
        payments.c.merchant_id == _given("merchant_id"),
        payments.c.currency == _given("currency"),
        bindparam("at_least", type_=BigInteger()) <= _REFUNDABLE,
        ~exists().where(refunds.c.id == _given("id")),
    )
    .with_for_update()
    .cte("taken")
)
_HELD = (
    update(payments)
    .where(payments.c.id == _TAKEN.c.id)
    .values(refund_reserved=payments.c.refund_reserved + _TAKEN.c.amount)
    .returning(_TAKEN.c.amount)
    .cte("held")
)
_INSERTED = [_HELD.c.amount if name == "amount" else _given(name) for name in REFUND_COLUMNS]
_NEW = (
    insert(refunds)
    .from_select(REFUND_COLUMNS, select(*_INSERTED).select_from(_HELD))
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
_FINAL = (
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
    .cte("final")
)
_REFUNDED = case((_FINAL.c.status == RefundStatus.SUCCEEDED.value, _FINAL.c.amount), else_=0)
_MOVED = (
    update(payments)
    .where(payments.c.id == _FINAL.c.payment_id)
    .values(
        refund_reserved=payments.c.refund_reserved - _FINAL.c.amount,
        refunded=payments.c.refunded + _REFUNDED,
        last_sequence=payments.c.last_sequence + 1,
    )
    .returning(payments.c.id, payments.c.merchant_id, payments.c.last_sequence)
    .cte("moved")
)
# From pending to the refund's final status, its reservation refunded or released, with its event.
FINALISE = select(_FINAL).add_cte(appended(_MOVED))

_GONE_AT_PROVIDER = (
    update(payments)
    .where(payments.c.id == _TAKEN.c.id)
    .values(
        refunded=payments.c.refunded + _TAKEN.c.amount,
        last_sequence=payments.c.last_sequence + 1,
        attention=case(
            (payments.c.attention == Attention.EXTERNAL_REFUND.value, None),
            else_=payments.c.attention,
        ),
        attention_detail=case(
            (payments.c.attention == Attention.EXTERNAL_REFUND.value, None),
            else_=payments.c.attention_detail,
        ),
    )
    .returning(payments.c.id, payments.c.merchant_id, payments.c.last_sequence)
    .cte("gone_at_provider")
)
_RECORDED = (
    insert(refunds)
    .from_select(
        REFUND_COLUMNS,
        select(*(_given(name) for name in REFUND_COLUMNS)).select_from(_GONE_AT_PROVIDER),
    )
    .returning(*refunds.c)
    .cte("recorded")
)
# A refund that was started at the provider: its row, the payment's sum, and its event. It also
# clears the attention that was raised for it.
RECORD_EXTERNAL = select(_RECORDED).add_cte(appended(_GONE_AT_PROVIDER))
