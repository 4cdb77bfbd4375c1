"""A merchant's events, to catch up on after an outage of its own."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api.dependencies import Deps
from api.http.authentication import AuthenticatedMerchant
from api.http.openapi import problems
from api.schemas import EventList
from domain.event import EventType
from storage.page import LARGEST_PAGE

router = APIRouter(tags=["events"])


@router.get("/v1/events", summary="List events", responses=problems(401, 422, 503))
async def list_events(  # noqa: PLR0913 - one argument is one filter
    *,
    merchant: AuthenticatedMerchant,
    dependencies: Deps,
    type: EventType | None = None,  # noqa: A002 - the API's name for it
    payment_id: UUID | None = None,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 20,
) -> EventList:
    """Newest first; `sequence` orders the events of one payment, `id` is the webhook's id."""
    page = await dependencies.stores.events.list_for_merchant(
        merchant.id, cursor=cursor, limit=limit, type=type, payment_id=payment_id
    )
    return EventList.of(page.items, page.next_cursor)
