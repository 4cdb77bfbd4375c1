from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Text,
    and_,
    bindparam,
    case,
    exists,
    func,
    select,
    update,
)
from sqlalchemy.sql.dml import Update

from domain.errors import NotFound
from domain.event import DeliveryStatus, Event, EventType
from domain.frozen import Frozen
from domain.merchant import Merchant
from storage.database import Database
from storage.page import LARGEST_PAGE, Page, read_page
from storage.rows import to_event, to_merchant
from storage.tables import events, merchants

# Enough to know what went wrong; an endpoint's whole error page is not ours to keep.
LONGEST_ERROR = 500
# A day more than any delivery is tried for.
LONGEST_WAIT = timedelta(days=4)
NEW_FOR = timedelta(minutes=1)


_EARLIER = events.alias("earlier")


def _comes_before(
    payment_id: ColumnElement[UUID] | UUID, sequence: ColumnElement[int] | int
) -> ColumnElement[bool]:
    return and_(
        _EARLIER.c.payment_id == payment_id,
        _EARLIER.c.sequence < sequence,
        _EARLIER.c.delivery == DeliveryStatus.WAITING.value,
        _EARLIER.c.created_at > func.now() - LONGEST_WAIT,
    )


_MERCHANT = "its_merchant_"
# All that a delivery must know, in one round trip.
_DUE = (
    select(
        events,
        *(column.label(_MERCHANT + column.name) for column in merchants.c),
        exists().where(_comes_before(events.c.payment_id, events.c.sequence)).label("waits"),
    )
    .select_from(events.outerjoin(merchants, merchants.c.id == events.c.merchant_id))
    .where(events.c.id == bindparam("event_id"))
)
_FIRST = events.c.delivery != DeliveryStatus.DELIVERED.value
# Built once: building it costs more than PostgreSQL takes to run it.
_DELIVERED = (
    update(events)
    .where(events.c.id == bindparam("event_id"))
    .values(
        delivery=DeliveryStatus.DELIVERED.value,
        delivered_at=case((_FIRST, func.now()), else_=events.c.delivered_at),
        veto=case((_FIRST, bindparam("answer", type_=Text())), else_=events.c.veto),
        attempts=events.c.attempts + 1,
        last_attempt_at=func.now(),
        last_http_status=bindparam("http_status"),
        last_error=None,
    )
    .returning(events.c.veto)
)


class Due(Frozen):
    """An event to deliver, and its merchant; `waits` while an earlier one comes first."""

    event: Event
    merchant: Merchant | None
    waits: bool


class Queue(Frozen):
    """The events of a payment that must be delivered before one of its events.

    `moving` where all are less than a minute old and no attempt failed: each should be delivered in
    a moment.
    """

    length: int
    moving: bool


class EventStore:
    """Webhook events and their delivery. Rows are inserted by `storage.outbox`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, event_id: UUID) -> Event | None:
        """The event, or None."""
        async with self._database.statement() as connection:
            result = await connection.execute(select(events).where(events.c.id == event_id))
            row = result.mappings().one_or_none()
        return to_event(row) if row else None

    async def due(self, event_id: UUID) -> Due | None:
        """The event with all that its delivery needs, or None."""
        async with self._database.statement() as connection:
            result = await connection.execute(_DUE, {"event_id": event_id})
            row = result.mappings().one_or_none()
        if row is None:
            return None
        merchant = {column.name: row[_MERCHANT + column.name] for column in merchants.c}
        return Due(
            event=to_event({column.name: row[column.name] for column in events.c}),
            merchant=to_merchant(merchant) if merchant["id"] else None,
            waits=row["waits"],
        )

    async def list_for_merchant(
        self,
        merchant_id: str,
        *,
        cursor: str | None = None,
        limit: int = LARGEST_PAGE,
        type: EventType | None = None,  # noqa: A002 - the API's name for it
        payment_id: UUID | None = None,
    ) -> Page[Event]:
        """Newest first. InvalidRequest for a foreign cursor or a limit out of range."""
        statement = select(events).where(events.c.merchant_id == merchant_id)
        if payment_id is not None:
            statement = statement.where(events.c.payment_id == payment_id)
        async with self._database.statement() as connection:
            return await read_page(
                connection,
                statement,
                events,
                convert=to_event,
                unindexed=[] if type is None else [events.c.type == type.value],
                cursor=cursor,
                limit=limit,
            )

    async def queue_before(self, event: Event) -> Queue:
        """What must be delivered before this event.

        An event that was never given up (its workflow was terminated) holds nothing up.
        """
        is_new = _EARLIER.c.created_at > func.now() - NEW_FOR
        statement = select(
            func.count().label("length"),
            func.coalesce(func.bool_and(is_new & (_EARLIER.c.attempts == 0)), True).label("moving"),
        ).where(_comes_before(event.payment_id, event.sequence))
        async with self._database.statement() as connection:
            row = (await connection.execute(statement)).mappings().one()
        return Queue.model_validate(dict(row))

    async def mark(self, event_id: UUID, delivery: DeliveryStatus) -> None:
        """Set the delivery status; what was delivered stays delivered. NotFound."""
        delivered = delivery is DeliveryStatus.DELIVERED
        if not await self._update(
            update(events)
            .where(events.c.id == event_id, events.c.delivery != DeliveryStatus.DELIVERED.value)
            .values(
                delivery=delivery.value,
                delivered_at=func.now() if delivered else events.c.delivered_at,
            )
        ):
            await self._require(event_id)

    async def delivered(
        self, event_id: UUID, http_status: int, *, veto: str | None = None
    ) -> str | None:
        """Count the successful attempt; the first one and its answer stay.

        Returns the veto as it stands. Raises NotFound.
        """
        answered = {"event_id": event_id, "http_status": http_status, "answer": veto}
        async with self._database.statement() as connection:
            row = (await connection.execute(_DELIVERED, answered)).one_or_none()
        if row is None:
            raise NotFound("There is no such event.")
        stands: str | None = row.veto
        return stands

    async def record_attempt(
        self, event_id: UUID, http_status: int | None, error: str | None
    ) -> None:
        """Count an attempt and store its result. NotFound."""
        if not await self._update(
            update(events)
            .where(events.c.id == event_id)
            .values(
                attempts=events.c.attempts + 1,
                last_attempt_at=func.now(),
                last_http_status=http_status,
                last_error=error and error[:LONGEST_ERROR],
            )
        ):
            await self._require(event_id)

    async def _update(self, statement: Update) -> bool:
        async with self._database.statement() as connection:
            result: Any = await connection.execute(statement)
        return bool(result.rowcount)

    async def _require(self, event_id: UUID) -> None:
        if await self.get(event_id) is None:
            raise NotFound("There is no such event.")
