"""A worker, and a database, that reserve refunds without asking whether the money is there."""

import asyncio

from sqlalchemy import BindParameter, exists, insert, select, update

import worker
from storage import refund_statements
from storage.rows import REFUND_COLUMNS, parameter
from storage.tables import payments, refunds


def _given(name: str) -> BindParameter[object]:
    return parameter(refunds.c[name])


_HELD = (
    update(payments)
    .where(
        payments.c.id == _given("payment_id"),
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

if __name__ == "__main__":
    refund_statements.RESERVE = select(_NEW)
    asyncio.run(worker.main())
