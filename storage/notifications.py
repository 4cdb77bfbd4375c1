from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    RowMapping,
    Select,
    select,
)

from domain.frozen import Frozen
from domain.identity import parse_reference
from domain.notification import Notification, NotificationKind, NotificationOutcome
from domain.payment import Payment
from storage import notification_statements as statements
from storage import purchase_owner
from storage.database import Database
from storage.rows import to_payment
from storage.tables import notifications


@dataclass(frozen=True)
class Arrival:
    """A verified delivery, as it came."""

    headers: dict[str, str]
    body: bytes
    received_at: datetime


@dataclass(frozen=True)
class Addressee:
    """The payment that a notification names.

    `earlier` is the outcome of the same content before, where a workflow was signalled; `excessive`
    where workflows were signalled too often about the payment lately.
    """

    payment: Payment
    earlier: NotificationOutcome | None = None
    excessive: bool = False


class NotificationRecord(Frozen):
    """One verified notification as it first arrived, its outcome, and its repeats."""

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
    repeats: int
    last_received_at: datetime | None
    outcome: NotificationOutcome
    detail: str


def _row(notification: Notification, arrival: Arrival) -> dict[str, Any]:
    return {
        "id": uuid4(),
        "provider": notification.provider,
        "account": notification.account,
        "notification_id": notification.notification_id,
        "kind": notification.kind.value,
        "reference": notification.reference,
        "payment_id": parse_reference(notification.reference),
        "headers": arrival.headers,
        "body": arrival.body,
        "content_hash": notification.content_hash,
        "received_at": arrival.received_at,
        "repeats": 0,
        "outcome": NotificationOutcome.RECEIVED.value,
        "detail": "",
    }


class NotificationStore:
    """Every verified notification, raw. Never what failed verification."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(
        self, notification: Notification, arrival: Arrival, payment_id: UUID | None = None
    ) -> UUID:
        """Insert it as `received`, or count a repeat; return its row's id for `note`.

        `payment_id` is the payment that it was found to be for; None for the one that it names.
        """
        values = _row(notification, arrival)
        if payment_id is not None:
            values["payment_id"] = payment_id
        async with self._database.statement() as connection:
            found = await connection.execute(statements.KEEP, values)
            row_id: UUID = found.scalar_one()
        return row_id

    async def record_bounded(
        self,
        notification: Notification,
        arrival: Arrival,
        outcome: NotificationOutcome,
        detail: str,
        *,
        most: int,
    ) -> None:
        """Insert what is about no payment of ours with its outcome, or count a repeat.

        `outcome` is `foreign` or `unknown_reference`. Of each at most `most` different ones of one
        account's day (UTC) are stored, give or take concurrent ones. A repeat is not counted.
        """
        of = {"provider": notification.provider, "account": notification.account}
        same = {
            "of_provider": notification.provider,
            "of_account": notification.account,
            "of_content": notification.content_hash,
            "received": arrival.received_at,
            "led_to": outcome.value,
            "why": detail,
        }
        async with self._database.transaction() as connection:
            known = await connection.execute(statements.REPEAT, same)
            if known.one_or_none() is not None:
                return
            today = await connection.execute(statements.KEPT_TODAY[outcome], of | {"most": most})
            if today.scalar_one() >= most:
                return
            values = _row(notification, arrival) | {"outcome": outcome.value, "detail": detail}
            await connection.execute(statements.KEEP, values)

    async def note(self, row: UUID, outcome: NotificationOutcome, detail: str = "") -> None:
        """Store the outcome of a recorded notification."""
        values = {"row": row, "led_to": outcome.value, "why": detail}
        async with self._database.statement() as connection:
            await connection.execute(statements.NOTE, values)

    async def addressee(self, notification: Notification) -> Addressee | None:
        """The payment that the notification is about; None where it names none of ours.

        A store's notification is about the payment that its purchase belongs to.
        """
        purchase = notification.change.standing if notification.change else None
        payment_id = parse_reference(notification.reference)
        row = None
        if purchase is not None:
            row = await self._find(statements.BUYER, notification, **purchase_owner.of(purchase))
        elif payment_id is not None:
            row = await self._find(statements.ADDRESSEE, notification, payment=payment_id)
        if row is None and purchase is None:
            row = await self._otherwise_named(notification)
        if row is None:
            return None
        columns = dict(row)
        earlier, excessive = columns.pop("earlier"), columns.pop("excessive")
        return Addressee(
            to_payment(columns), NotificationOutcome(earlier) if earlier else None, excessive
        )

    async def _otherwise_named(self, notification: Notification) -> RowMapping | None:
        refund = notification.refund
        refund_id = parse_reference(refund.refund_reference) if refund else None
        number = notification.provider_reference
        if refund_id is None and number is None:
            return None
        return await self._find(
            statements.OTHERWISE_NAMED, notification, provider_reference=number, refund=refund_id
        )

    async def _find(
        self, statement: Select[Any], notification: Notification, **named: object
    ) -> RowMapping | None:
        same = {
            "provider": notification.provider,
            "account": notification.account,
            "content_hash": notification.content_hash,
        }
        async with self._database.statement() as connection:
            found = await connection.execute(statement, named | same)
            row: RowMapping | None = found.mappings().one_or_none()
        return row

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
