from uuid import UUID

from domain.event import DeliveryStatus, Event, EventType
from storage.database import Database
from storage.page import LARGEST_PAGE, Page


class EventStore:
    """What merchants are told. Rows are made by the payment and refund stores."""

    def __init__(self, database: Database) -> None: ...

    async def get(self, event_id: UUID) -> Event | None:
        raise NotImplementedError

    async def list_for_merchant(
        self,
        merchant_id: str,
        *,
        cursor: str | None = None,
        limit: int = LARGEST_PAGE,
        type: EventType | None = None,  # noqa: A002 - the merchant's word for it
        payment_id: UUID | None = None,
    ) -> Page[Event]:
        raise NotImplementedError

    async def has_earlier_waiting(self, event: Event) -> bool:
        raise NotImplementedError

    async def mark(self, event_id: UUID, delivery: DeliveryStatus) -> None:
        raise NotImplementedError

    async def record_attempt(
        self, event_id: UUID, http_status: int | None, error: str | None
    ) -> None:
        raise NotImplementedError
