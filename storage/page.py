"""Pages of a list, newest first, by a cursor that survives rows arriving in between."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, Select, Table, Uuid, literal, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import InvalidRequest
from domain.frozen import Frozen
from storage.tables import TIME

Item = TypeVar("Item")
Position = tuple[datetime, UUID]

# A page is held in memory whole, on both sides.
LARGEST_PAGE = 100
# Rows that one page may look at: few milliseconds, however many a merchant has.
MOST_SCANNED = 5_000


class Page(Frozen, Generic[Item]):
    """Some items and where the next page starts; `next_cursor` is None on the last page."""

    items: list[Item]
    next_cursor: str | None = None


def encode_cursor(position: Position) -> str:
    """The opaque text that stands for a row's place."""
    created_at, row_id = position
    return urlsafe_b64encode(f"{created_at.isoformat()}|{row_id.hex}".encode()).decode()


def decode_cursor(cursor: str) -> Position:
    """The place that a cursor stands for; InvalidRequest where we did not make it."""
    try:
        created_at, _, row_id = urlsafe_b64decode(cursor.encode()).decode().partition("|")
        place = datetime.fromisoformat(created_at)
        if place.tzinfo is None:
            raise ValueError("a time of ours has a zone")  # noqa: TRY301 - one error for all
        return place.astimezone(UTC), UUID(hex=row_id)
    # In UTC the time may lie beyond the calendar, and the database counts in UTC.
    except (ValueError, OverflowError) as error:
        raise InvalidRequest("The cursor is not one of ours.", param="cursor") from error


async def read_page(  # noqa: PLR0913 - the parts of one query
    connection: AsyncConnection,
    statement: Select[Any],
    table: Table,
    *,
    convert: Callable[[RowMapping], Item],
    unindexed: Sequence[ColumnElement[bool]] = (),
    cursor: str | None,
    limit: int,
) -> Page[Item]:
    """One page of the statement's rows.

    With `unindexed` conditions, which no index serves, at most `MOST_SCANNED` rows are looked at:
    such a page may hold fewer than `limit` items, or none, and still have a next one.

    Raises:
        InvalidRequest: a foreign cursor, or a limit out of range.
    """
    if not 1 <= limit <= LARGEST_PAGE:
        raise InvalidRequest(f"limit is from 1 to {LARGEST_PAGE}.", param="limit")
    if cursor is not None:
        statement = statement.where(_row(table) < _place(decode_cursor(cursor)))
    statement = statement.order_by(table.c.created_at.desc(), table.c.id.desc())
    end: Position | None = None
    if unindexed:
        end = await _end_of_scan(connection, statement, table)
        statement = statement.where(*unindexed)
        if end is not None:
            statement = statement.where(_row(table) >= _place(end))
    # One more, to know whether another page follows.
    rows = (await connection.execute(statement.limit(limit + 1))).mappings().all()
    if len(rows) > limit:
        end = rows[limit - 1]["created_at"], rows[limit - 1]["id"]
    return Page(
        items=[convert(row) for row in rows[:limit]],
        next_cursor=encode_cursor(end) if end else None,
    )


async def _end_of_scan(
    connection: AsyncConnection, statement: Select[Any], table: Table
) -> Position | None:
    """The last row that is looked at for a page; None where all of them may be."""
    place = statement.with_only_columns(table.c.created_at, table.c.id)
    row = (await connection.execute(place.offset(MOST_SCANNED - 1).limit(1))).one_or_none()
    return (row[0], row[1]) if row else None


def _row(table: Table) -> Any:
    return tuple_(table.c.created_at, table.c.id)


def _place(position: Position) -> Any:
    created_at, row_id = position
    return tuple_(literal(created_at, TIME), literal(row_id, Uuid()))
