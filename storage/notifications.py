from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    RowMapping,
    Select,
    Uuid,
    and_,
    bindparam,
    func,
    literal,
    literal_column,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from domain.frozen import Frozen
from domain.identity import parse_reference
from domain.notification import Notification, NotificationKind, NotificationOutcome
from domain.payment import Payment
from storage import owning
from storage.database import Database
from storage.rows import to_payment
from storage.tables import notifications, payments, refunds

# A workflow may be sent so many different notifications a day; a provider sends a handful, and
# Temporal ends an execution that was sent 10,000.
MOST_SIGNALS_A_DAY = 100
_DAY = timedelta(days=1)
# What a workflow was sent: a repeat need not be sent again.
HANDED_OVER = (
    NotificationOutcome.SIGNALLED,
    NotificationOutcome.LATE,
    NotificationOutcome.MISMATCH,
)
_HANDED_OVER = notifications.c.outcome.in_([outcome.value for outcome in HANDED_OVER])

# Built once: building a statement costs more than PostgreSQL takes to run it.
_SAME_CONTENT = (
    notifications.c.provider == bindparam("provider"),
    notifications.c.account == bindparam("account"),
    notifications.c.content_hash == bindparam("content_hash"),
)
_EARLIER = (
    select(notifications.c.outcome)
    .where(*_SAME_CONTENT, _HANDED_OVER)
    .scalar_subquery()
    .label("earlier")
)
_SIGNALS = (
    select(literal(1))
    .where(
        notifications.c.payment_id == payments.c.id,
        notifications.c.received_at > func.now() - _DAY,
        _HANDED_OVER,
    )
    .correlate(payments)
    .limit(MOST_SIGNALS_A_DAY)
    .subquery()
)
_EXCESSIVE = (
    select(func.count()).select_from(_SIGNALS).scalar_subquery() == MOST_SIGNALS_A_DAY
).label("excessive")
_ADDRESSEE = select(*payments.c, _EARLIER, _EXCESSIVE).where(payments.c.id == bindparam("payment"))
# One captured payment at most has a number of the provider's (payments_one_per_provider_reference).
_BY_PROVIDERS_NUMBER = and_(
    payments.c.provider == bindparam("provider"),
    payments.c.account == bindparam("account"),
    payments.c.provider_reference == bindparam("provider_reference"),
    payments.c.captured > 0,
)
_OF_REFUND = payments.c.id.in_(
    select(refunds.c.payment_id).where(refunds.c.id == bindparam("refund", type_=Uuid()))
)
# What else identifies a payment, where no row has the number that the message calls it by.
_OTHERWISE_NAMED = (
    select(*payments.c, _EARLIER, _EXCESSIVE)
    .where(or_(_BY_PROVIDERS_NUMBER, _OF_REFUND))
    .order_by(_BY_PROVIDERS_NUMBER.desc().nulls_last())
    .limit(1)
)
_BUYER = owning.PAYMENT.add_columns(_EARLIER, _EXCESSIVE)
_INSERT = insert(notifications)
_KEEP = _INSERT.on_conflict_do_update(
    constraint="notifications_kept_once",
    set_={
        "repeats": notifications.c.repeats + 1,
        "last_received_at": _INSERT.excluded.received_at,
    },
).returning(notifications.c.id)
_REPEAT = (
    update(notifications)
    # An update's parameters cannot have its columns' names.
    .where(
        notifications.c.provider == bindparam("of_provider"),
        notifications.c.account == bindparam("of_account"),
        notifications.c.content_hash == bindparam("of_content"),
    )
    .values(repeats=notifications.c.repeats + 1, last_received_at=bindparam("received"))
    .returning(notifications.c.id)
)
_TODAY = text("date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'")


def _kept_today(outcome: NotificationOutcome) -> Select[Any]:
    row = select(literal(1)).where(
        notifications.c.provider == bindparam("provider"),
        notifications.c.account == bindparam("account"),
        # As its index has it, not as a parameter: only so is the index used.
        notifications.c.outcome == literal_column(f"'{outcome.value}'"),
        notifications.c.received_at >= _TODAY,
    )
    return select(func.count()).select_from(row.limit(bindparam("most")).subquery())


_KEPT_TODAY = {
    outcome: _kept_today(outcome)
    for outcome in (NotificationOutcome.FOREIGN, NotificationOutcome.UNKNOWN_REFERENCE)
}
# What a workflow was sent stays on record, whatever a repeat led to.
_NOTE = (
    update(notifications)
    .where(notifications.c.id == bindparam("row"), ~_HANDED_OVER)
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
    """The payment that a notification names.

    `earlier` is what the same content led to before, where a workflow was sent it; `excessive`
    where workflows were sent too much about the payment lately.
    """

    payment: Payment
    earlier: NotificationOutcome | None = None
    excessive: bool = False


class NotificationRecord(Frozen):
    """One verified notification as it first arrived, what it led to, and its repeats."""

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
        """Keep it as `received`, or count it where it was kept; returns its row's id for `note`.

        `payment_id` is the payment that it was found to be for; None for the one that it names.
        """
        values = _row(notification, arrival)
        if payment_id is not None:
            values["payment_id"] = payment_id
        async with self._database.statement() as connection:
            kept = await connection.execute(_KEEP, values)
            row_id: UUID = kept.scalar_one()
        return row_id

    async def record_bounded(
        self,
        notification: Notification,
        arrival: Arrival,
        outcome: NotificationOutcome,
        most: int,
    ) -> UUID | None:
        """Keep what is about no payment of ours, or count it where it was kept; None if not kept.

        `outcome` is `foreign` or `unknown_reference`. Of each at most `most` different ones of one
        account's day (UTC) are kept, give or take those that arrive at the same moment. A repeat
        takes no place.
        """
        of = {"provider": notification.provider, "account": notification.account}
        same = {
            "of_provider": notification.provider,
            "of_account": notification.account,
            "of_content": notification.content_hash,
            "received": arrival.received_at,
        }
        async with self._database.transaction() as connection:
            known = await connection.execute(_REPEAT, same)
            if (repeated := known.one_or_none()) is not None:
                again: UUID = repeated.id
                return again
            today = await connection.execute(_KEPT_TODAY[outcome], of | {"most": most})
            if today.scalar_one() >= most:
                return None
            values = _row(notification, arrival) | {"outcome": outcome.value}
            kept = await connection.execute(_KEEP, values)
            row_id: UUID = kept.scalar_one()
        return row_id

    async def note(self, row: UUID, outcome: NotificationOutcome, detail: str = "") -> None:
        """Write down what a kept delivery led to."""
        said = {"row": row, "led_to": outcome.value, "why": detail}
        async with self._database.statement() as connection:
            await connection.execute(_NOTE, said)

    async def addressee(self, notification: Notification) -> Addressee | None:
        """Whom the notification is for; None where nothing in it names a payment of ours.

        A store's word is for the payment that its purchase belongs to.
        """
        purchase = notification.change.standing if notification.change else None
        payment_id = parse_reference(notification.reference)
        row = None
        if purchase is not None:
            row = await self._find(_BUYER, notification, **owning.named(purchase))
        elif payment_id is not None:
            row = await self._find(_ADDRESSEE, notification, payment=payment_id)
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
            _OTHERWISE_NAMED, notification, provider_reference=number, refund=refund_id
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
