"""Payments and refunds that need a running workflow, by their rows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CompoundSelect, Select, Table, Uuid, literal, or_, select, tuple_

from domain.event import PAYMENT_EVENTS, REFUND_EVENTS, DeliveryStatus, EventType
from domain.frozen import Frozen
from domain.payment import Payment, PaymentStatus
from domain.refund import Refund, RefundCause, RefundStatus
from storage.database import Database
from storage.rows import to_payment, to_refund
from storage.tables import TIME, events, payments, refunds

# With metadata as large as the API takes them, a page stays far below Temporal's 2 MiB.
PAGE = 40

# What a payment or refund ends with. Other events are announced by whoever raised them.
_FINAL_EVENTS = [kind.value for kind in (*PAYMENT_EVENTS.values(), *REFUND_EVENTS.values())]
_LATE = payments.c.late & (payments.c.status != PaymentStatus.SUCCEEDED.value)
_MONEY_LEFT = payments.c.captured > payments.c.refunded + payments.c.refund_reserved
# A store's purchase that cost nothing has no money to refund, and is still to be accepted.
_FREE = payments.c.captured == 0


class Position(Frozen):
    """Where a page ends: the creation time and id of its last row."""

    created_at: datetime
    id: UUID


class UnfinishedStore:
    """Reads what is pending, needs an automatic refund, or ended without its event delivered."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def payments(
        self,
        created_before: datetime,
        *,
        after: Position | None = None,
        only: Sequence[UUID] | None = None,
    ) -> list[Payment]:
        """At most `PAGE` payments, oldest first; of `only` these where given."""
        pending = select(payments.c.id).where(
            payments.c.status == PaymentStatus.PENDING.value,
            payments.c.created_at < created_before,
        )
        # In manual review, the operator decides about the automatic refund.
        automatic = select(payments.c.id).where(
            or_(payments.c.duplicate & _MONEY_LEFT, _LATE & (_MONEY_LEFT | _FREE)),
            payments.c.attention.is_(None),
            payments.c.created_at < created_before,
        )
        # What came late, the late workflow announces; that it had ended before, nothing else does.
        unannounced = (
            _unannounced(created_before)
            .join(payments, payments.c.id == events.c.payment_id)
            .where(
                events.c.refund_id.is_(None),
                ~payments.c.late | (events.c.type != EventType.PAYMENT_SUCCEEDED.value),
            )
        )
        unfinished = pending.union(automatic, unannounced.with_only_columns(events.c.payment_id))
        return [
            to_payment(row) for row in await self._read(_page(payments, unfinished, after, only))
        ]

    async def refunds(
        self,
        created_before: datetime,
        *,
        after: Position | None = None,
        only: Sequence[UUID] | None = None,
    ) -> list[Refund]:
        """The same of refunds."""
        pending = select(refunds.c.id).where(
            refunds.c.status == RefundStatus.PENDING.value, refunds.c.created_at < created_before
        )
        # A store's own refund has no workflow: the one of its reports announces it.
        unannounced = (
            _unannounced(created_before)
            .join(refunds, refunds.c.id == events.c.refund_id)
            .where(refunds.c.cause != RefundCause.PROVIDER.value)
        )
        unfinished = pending.union(unannounced.with_only_columns(events.c.refund_id))
        return [to_refund(row) for row in await self._read(_page(refunds, unfinished, after, only))]

    async def _read(self, statement: Select[Any]) -> Sequence[Any]:
        async with self._database.statement() as connection:
            rows: Sequence[Any] = (await connection.execute(statement)).mappings().all()
        return rows


def _unannounced(created_before: datetime) -> Select[Any]:
    return select(events).where(
        events.c.delivery == DeliveryStatus.WAITING.value,
        events.c.type.in_(_FINAL_EVENTS),
        events.c.created_at < created_before,
    )


def _page(
    table: Table,
    ids: CompoundSelect[Any],
    after: Position | None,
    only: Sequence[UUID] | None,
) -> Select[Any]:
    statement = select(table).where(table.c.id.in_(ids))
    if only is not None:
        statement = statement.where(table.c.id.in_(only))
    if after is not None:
        place = tuple_(literal(after.created_at, TIME), literal(after.id, Uuid()))
        statement = statement.where(tuple_(table.c.created_at, table.c.id) > place)
    return statement.order_by(table.c.created_at, table.c.id).limit(PAGE)
