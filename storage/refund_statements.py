"""The statements that move a refund's money; each locks the payment first."""

from typing import Any

from sqlalchemy import CTE, Select, exists, insert, literal, select, update

from domain.refund import Refund, RefundStatus
from storage.rows import refund_values
from storage.tables import payments, refunds


def reserve(refund: Refund) -> Select[Any]:
    """Hold the money on the payment and insert the refund: both or neither."""
    held = (
        update(payments)
        .where(
            payments.c.id == refund.payment_id,
            payments.c.merchant_id == refund.merchant_id,
            payments.c.currency == refund.currency,
            payments.c.captured - payments.c.refunded - payments.c.refund_reserved >= refund.amount,
            ~exists().where(refunds.c.id == refund.id),
        )
        .values(refund_reserved=payments.c.refund_reserved + refund.amount)
        .returning(payments.c.id)
        .cte("held")
    )
    values = refund_values(refund)
    row = select(
        *(literal(value, refunds.c[name].type) for name, value in values.items())
    ).select_from(held)
    new = insert(refunds).from_select(list(values), row).returning(*refunds.c).cte("new")
    return select(new)


def settled(refund: Refund) -> CTE:
    """From pending to the refund's final status."""
    locked = (
        select(payments.c.id)
        .where(payments.c.id == refund.payment_id)
        .with_for_update()
        .cte("locked")
    )
    return (
        update(refunds)
        .where(
            refunds.c.id == refund.id,
            refunds.c.payment_id == locked.c.id,
            refunds.c.status == RefundStatus.PENDING.value,
        )
        .values(
            status=refund.status.value,
            provider_reference=refund.provider_reference,
            raw_status=refund.raw_status,
            refunded_at=refund.refunded_at,
            attention=refund.attention,
            attention_detail=None,
            failure=refund.failure and refund.failure.model_dump(mode="json"),
        )
        .returning(*refunds.c)
        .cte("settled")
    )


def moved(settled: CTE, status: RefundStatus) -> CTE:
    """The money of a settled refund: given back, or free again."""
    given_back = settled.c.amount if status is RefundStatus.SUCCEEDED else 0
    return (
        update(payments)
        .where(payments.c.id == settled.c.payment_id)
        .values(
            refund_reserved=payments.c.refund_reserved - settled.c.amount,
            refunded=payments.c.refunded + given_back,
            last_sequence=payments.c.last_sequence + 1,
        )
        .returning(payments.c.id, payments.c.merchant_id, payments.c.last_sequence)
        .cte("moved")
    )
