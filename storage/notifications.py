from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import (
    ColumnClause,
    bindparam,
    exists,
    insert,
    literal_column,
    select,
    update,
)

from domain.frozen import Frozen
from domain.identity import parse_reference
from domain.notification import Notification, NotificationKind, NotificationOutcome
from domain.payment import Payment
from storage import owning
from storage.database import Database
from storage.rows import to_payment
from storage.tables import notifications, payments

# So many that no batch comes near the time that a statement may take.
FORGET_AT_ONCE = 1000
# As the index has it, not as a parameter: only so is the index used.
_EMPTY: ColumnClause[bytes] = literal_column("''::bytea")
# The same message of the provider, which names it by an id of its own.
_MESSAGE = ("provider", "account", "notification_id")

# Built once: building a statement costs more than PostgreSQL takes to run it.
_SEEN = exists().where(
    *(notifications.c[name] == bindparam(name) for name in _MESSAGE),
    notifications.c.outcome == NotificationOutcome.SIGNALLED.value,
)
_ADDRESSEE = select(*payments.c, _SEEN.label("seen")).where(payments.c.id == bindparam("payment"))
_BUYER = owning.PAYMENT.add_columns(_SEEN.label("seen"))
_KEEP = insert(notifications)
_NOTE = (
    update(notifications)
    .where(notifications.c.id == bindparam("row"))
    .values(outcome=bindparam("led_to"), detail=bindparam("why"))
)


@dataclass(frozen=True)
class Arrival:
    """A verified delivery, as it came."""

    headers: dict[str, str]
    body: bytes
    received_at: datetime


@dataclass(frozen=True)
class Addressee:
    """The payment that a notification names, and whether its run has had this message before."""

    payment: Payment
    seen: bool


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

    async def record(self, notification: Notification, arrival: Arrival) -> UUID:
        """Keep this delivery as `received`; returns its row's id for `note`."""
        row_id = uuid4()
        row = {
            "id": row_id,
            "kind": notification.kind.value,
            "reference": notification.reference,
            "payment_id": parse_reference(notification.reference),
            "headers": arrival.headers,
            "body": arrival.body,
            "received_at": arrival.received_at,
            "outcome": NotificationOutcome.RECEIVED.value,
            "detail": "",
        }
        async with self._database.statement() as connection:
            await connection.execute(_KEEP, row | _message(notification))
        return row_id

    async def note(self, row: UUID, outcome: NotificationOutcome, detail: str = "") -> None:
        """Write down what a kept delivery led to."""
        said = {"row": row, "led_to": outcome.value, "why": detail}
        async with self._database.statement() as connection:
            await connection.execute(_NOTE, said)

    async def addressee(self, notification: Notification) -> Addressee | None:
        """Whom the notification is for; None where it names no payment of ours.

        A store's word is for the payment that its purchase belongs to.
        """
        purchase = notification.change.standing if notification.change else None
        payment_id = parse_reference(notification.reference)
        if purchase is not None:
            statement, named = _BUYER, owning.named(purchase)
        elif payment_id is not None:
            statement, named = _ADDRESSEE, {"payment": payment_id}
        else:
            return None
        async with self._database.statement() as connection:
            found = await connection.execute(statement, named | _message(notification))
            row = found.mappings().one_or_none()
        if row is None:
            return None
        columns = dict(row)
        seen = bool(columns.pop("seen"))
        return Addressee(to_payment(columns), seen)

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


def _message(notification: Notification) -> dict[str, str]:
    return {name: getattr(notification, name) for name in _MESSAGE}
