"""Pages of a list, newest first, by a cursor that survives rows arriving in between."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from domain.errors import InvalidRequest
from domain.frozen import Frozen

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
        position = datetime.fromisoformat(created_at), UUID(hex=row_id)
    except ValueError as error:
        raise InvalidRequest("The cursor is not one of ours.", param="cursor") from error
    if position[0].tzinfo is None:
        raise InvalidRequest("The cursor is not one of ours.", param="cursor")
    return position
