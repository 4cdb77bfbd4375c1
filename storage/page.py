"""Pages of a list, newest first, by a cursor that survives rows arriving in between."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import RowMapping, Select, Table, Uuid, literal, tuple_

from domain.errors import InvalidRequest
from domain.frozen import Frozen
from storage.tables import TIME

Item = TypeVar("Item")
Position = tuple[datetime, UUID]

# A page is held in memory whole, on both sides.
LARGEST_PAGE = 100


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
            raise ValueError("a time of ours has a zone")  # noqa: TRY301 - one refusal for all
        return place.astimezone(UTC), UUID(hex=row_id)
    # In UTC the time may lie beyond the calendar, and the database counts in UTC.
    except (ValueError, OverflowError) as error:
        raise InvalidRequest("The cursor is not one of ours.", param="cursor") from error


def one_page(statement: Select[Any], table: Table, cursor: str | None, limit: int) -> Select[Any]:
    """The statement narrowed to one page, and one row more to know whether another follows."""
    if not 1 <= limit <= LARGEST_PAGE:
        raise InvalidRequest(f"limit is from 1 to {LARGEST_PAGE}.", param="limit")
    if cursor is not None:
        created_at, row_id = decode_cursor(cursor)
        place = tuple_(literal(created_at, TIME), literal(row_id, Uuid()))
        statement = statement.where(tuple_(table.c.created_at, table.c.id) < place)
    return statement.order_by(table.c.created_at.desc(), table.c.id.desc()).limit(limit + 1)


def to_page(
    rows: Sequence[RowMapping], limit: int, convert: Callable[[RowMapping], Item]
) -> Page[Item]:
    """The rows of a statement of `one_page`, as a page."""
    more = len(rows) > limit
    last = rows[limit - 1] if more else None
    return Page(
        items=[convert(row) for row in rows[:limit]],
        next_cursor=encode_cursor((last["created_at"], last["id"])) if last else None,
    )
