"""The only writer of events: in the statement or transaction of the change that each reports."""

from typing import Any
from uuid import UUID

from sqlalchemy import CTE, Select, String, Uuid, bindparam, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_skip
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import NotFound
from domain.event import EventType, payment_data
from domain.frozen import Frozen
from domain.identity import event_id
from domain.own_refunds import unaccounted
from domain.payment import Payment
from domain.report import Attention
from storage.rows import to_payment
from storage.tables import DOCUMENT, events, payments

_COLUMNS = ["id", "payment_id", "refund_id", "merchant_id", "sequence", "type", "data"]


class Entry(Frozen):
    """An event to append."""

    id: UUID
    type: EventType
    data: dict[str, Any]
    refund_id: UUID | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """What fills the statement of `appended`."""
        return {
            "entry_id": self.id,
            "entry_type": self.type.value,
            "entry_data": self.data,
            "entry_refund_id": self.refund_id,
        }


class Alarm(Frozen):
    """Why a payment, or one of its refunds, needs manual review.

    `subject` names what it is about where one payment may have several of its kind, such as a
    refund that is not ours. `refunded` is the provider's cumulative refunded sum, in minor units,
    where the alarm is that our refunds do not account for it.
    """

    attention: Attention
    detail: str
    refund_id: UUID | None = None
    subject: str | None = None
    refunded: int | None = None

    def event_of(self, payment_id: UUID) -> UUID:
        """The one event of this attention of this subject."""
        about = "" if self.subject is None else f":{self.subject}"
        return event_id(self.refund_id or payment_id, f"attention:{self.attention}{about}")


def appended(changed: CTE, *live: str) -> CTE:
    """Append the event for each payment row in `changed`, whose `last_sequence` was just raised.

    `live` names columns whose value is known only to the database: they replace the entry's. The
    entry's own `parameters` fill it.
    """
    data: Any = bindparam("entry_data", type_=DOCUMENT)
    if live:
        pairs = [part for name in live for part in (literal(name, String()), changed.c[name])]
        data = data.op("||")(func.jsonb_build_object(*pairs))
    row: Select[Any] = select(
        bindparam("entry_id", type_=Uuid()),
        changed.c.id,
        bindparam("entry_refund_id", type_=Uuid()),
        changed.c.merchant_id,
        changed.c.last_sequence,
        bindparam("entry_type", type_=String()),
        data,
    )
    return insert(events).from_select(_COLUMNS, row).returning(events.c.id).cte("appended")


async def append_once(
    connection: AsyncConnection, payment_id: UUID, entry: Entry, subject: str
) -> None:
    """Append the event of a report, named by `subject`; a repeat of the report appends nothing.

    The caller holds the payment's row.
    """
    numbered = select(payments.c.merchant_id, payments.c.last_sequence + 1).where(
        payments.c.id == payment_id
    )
    row = (await connection.execute(numbered)).one()
    inserted = await connection.execute(
        insert_or_skip(events)
        .values(
            id=entry.id,
            payment_id=payment_id,
            refund_id=entry.refund_id,
            merchant_id=row[0],
            sequence=row[1],
            type=entry.type.value,
            subject=subject,
            data=entry.data,
        )
        .on_conflict_do_nothing(constraint="events_one_per_change")
        .returning(events.c.id)
    )
    if inserted.first() is not None:
        await connection.execute(
            update(payments).where(payments.c.id == payment_id).values(last_sequence=row[1])
        )


async def raise_alarm(connection: AsyncConnection, payment_id: UUID, alarm: Alarm) -> bool:
    """Append the event of this attention, once; the payment is locked until the commit.

    False, and nothing is appended, where our refunds account for the alarm's sum by now.
    """
    found = await connection.execute(
        select(payments).where(payments.c.id == payment_id).with_for_update()
    )
    row = found.mappings().one_or_none()
    if row is None:
        raise NotFound("There is no such payment.")
    payment = to_payment(row)
    if alarm.refunded is not None and not unaccounted(payment, alarm.refunded):
        return False
    event = (
        insert_or_skip(events)
        .values(
            id=alarm.event_of(payment_id),
            payment_id=payment_id,
            refund_id=alarm.refund_id,
            merchant_id=payment.merchant_id,
            sequence=row["last_sequence"] + 1,
            type=EventType.PAYMENT_ATTENTION.value,
            attention=alarm.attention.value,
            subject=alarm.subject,
            data=_alarm_data(payment, alarm),
        )
        .on_conflict_do_nothing(constraint="events_one_per_change")
        .returning(events.c.id)
        .cte("appended")
    )
    new = select(func.count()).select_from(event).scalar_subquery()
    await connection.execute(
        update(payments)
        .where(payments.c.id == payment_id)
        .values(last_sequence=payments.c.last_sequence + new)
    )
    return True


def _alarm_data(payment: Payment, alarm: Alarm) -> dict[str, Any]:
    return payment_data(payment) | {
        "attention": alarm.attention.value,
        "detail": alarm.detail,
        "refund_id": str(alarm.refund_id) if alarm.refund_id else None,
    }
