from datetime import datetime
from uuid import UUID

from domain.frozen import Frozen
from domain.notification import Notification, NotificationKind, NotificationOutcome
from storage.database import Database


class NotificationRecord(Frozen):
    """One verified delivery as it arrived, and what it led to."""

    id: UUID
    provider: str
    account: str
    notification_id: str
    kind: NotificationKind
    reference: str
    payment_id: UUID | None
    headers: dict[str, str]
    body: bytes
    received_at: datetime
    outcome: NotificationOutcome
    detail: str


class NotificationStore:
    """Every verified notification, raw. Never what failed verification."""

    def __init__(self, database: Database) -> None: ...

    async def record(
        self,
        notification: Notification,
        *,
        headers: dict[str, str],
        body: bytes,
        received_at: datetime,
    ) -> UUID:
        raise NotImplementedError

    async def set_outcome(
        self, row_id: UUID, outcome: NotificationOutcome, detail: str = ""
    ) -> None:
        raise NotImplementedError

    async def seen(self, notification: Notification) -> bool:
        raise NotImplementedError

    async def list_for_payment(self, payment_id: UUID) -> list[NotificationRecord]:
        raise NotImplementedError
