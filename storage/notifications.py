from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import ColumnClause, exists, insert, literal_column, select, update

from domain.errors import NotFound
from domain.frozen import Frozen
from domain.identity import parse_reference
from domain.notification import Notification, NotificationKind, NotificationOutcome
from storage.database import Database
from storage.tables import notifications

# So many that no batch comes near the time that a statement may take.
FORGET_AT_ONCE = 1000
# As the index has it, not as a parameter: only so is the index used.
_EMPTY: ColumnClause[bytes] = literal_column("''::bytea")


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

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(
        self,
        notification: Notification,
        *,
        headers: dict[str, str],
        body: bytes,
        received_at: datetime,
    ) -> UUID:
        """Keep this delivery, as received; the id of its row."""
        row_id = uuid4()
        statement = insert(notifications).values(
            id=row_id,
            provider=notification.provider,
            account=notification.account,
            notification_id=notification.notification_id,
            kind=notification.kind.value,
            reference=notification.reference,
            payment_id=parse_reference(notification.reference),
            headers=headers,
            body=body,
            received_at=received_at,
        )
        async with self._database.statement() as connection:
            await connection.execute(statement)
        return row_id

    async def set_outcome(
        self, row_id: UUID, outcome: NotificationOutcome, detail: str = ""
    ) -> None:
        """What the delivery led to. NotFound."""
        statement = (
            update(notifications)
            .where(notifications.c.id == row_id)
            .values(outcome=outcome.value, detail=detail)
            .returning(notifications.c.id)
        )
        async with self._database.statement() as connection:
            if (await connection.execute(statement)).first() is None:
                raise NotFound("There is no such notification.")

    async def seen(self, notification: Notification) -> bool:
        """True where the same message of the provider has reached its workflow before."""
        statement = select(
            exists().where(
                notifications.c.provider == notification.provider,
                notifications.c.account == notification.account,
                notifications.c.notification_id == notification.notification_id,
                notifications.c.outcome == NotificationOutcome.SIGNALLED.value,
            )
        )
        async with self._database.statement() as connection:
            return bool(await connection.scalar(statement))

    async def forget_before(self, moment: datetime) -> int:
        """Forget the raw bodies and headers received before it; how many had any.

        That a notification came, and what it led to, stays.
        """
        old = (
            select(notifications.c.id)
            .where(notifications.c.received_at < moment, notifications.c.body != _EMPTY)
            .limit(FORGET_AT_ONCE)
        )
        statement = (
            update(notifications)
            .where(notifications.c.id.in_(old))
            .values(body=b"", headers={})
            .returning(notifications.c.id)
        )
        forgotten = 0
        async with self._database.statement() as connection:
            while batch := len((await connection.execute(statement)).all()):
                forgotten += batch
        return forgotten

    async def list_for_payment(self, payment_id: UUID) -> list[NotificationRecord]:
        """Oldest first."""
        statement = (
            select(notifications)
            .where(notifications.c.payment_id == payment_id)
            .order_by(notifications.c.received_at, notifications.c.id)
        )
        async with self._database.statement() as connection:
            rows = (await connection.execute(statement)).mappings().all()
        return [NotificationRecord.model_validate(dict(row)) for row in rows]
