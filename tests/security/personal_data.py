"""Where in our database a text can be read, and what brings a payer's there."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from sqlalchemy import select

from domain.notification import Notification, NotificationKind
from domain.payment import Payment
from storage.database import Database
from storage.events import EventStore
from storage.notifications import Arrival
from storage.tables import Row

TABLES = ("payments", "refunds", "events", "notifications")


async def everything(sql: asyncpg.Connection, payment_id: UUID) -> dict[str, list[dict[str, Any]]]:
    """Every row of the payment; `notifications.body` as text."""
    rows = {}
    for table in TABLES:
        name = "id" if table == "payments" else "payment_id"
        found = await sql.fetch(
            f"SELECT to_jsonb(t)::text AS row FROM {table} t WHERE {name} = $1 ORDER BY id",  # noqa: S608
            payment_id,
        )
        rows[table] = [json.loads(row["row"]) for row in found]
    for row in rows["notifications"]:
        row["body"] = bytes.fromhex(row["body"].removeprefix("\\x")).decode()
    return rows


async def columns_with(database: Database, text: str) -> set[str]:
    """Every column of every table of ours in which the text can be read."""
    found = set()
    for table in Row.metadata.sorted_tables:
        async with database.statement() as connection:
            for row in (await connection.execute(select(table))).mappings():
                found |= {f"{table.name}.{name}" for name in row if text in str(row[name])}
    return found


async def acknowledge(events: EventStore, payment: Payment, veto: str | None = None) -> None:
    """The merchant answers every event of the payment."""
    page = await events.list_for_merchant(payment.merchant_id, payment_id=payment.id)
    for event in page.items:
        await events.delivered(event.id, 200, veto=veto)


def arrival_of(payment: Payment, person: str) -> tuple[Notification, Arrival]:
    notification = Notification(
        provider=payment.provider,
        account=payment.account,
        notification_id=uuid4().hex,
        kind=NotificationKind.PAYMENT,
        reference=payment.reference,
    )
    return notification, Arrival({"x-buyer": person}, person.encode(), datetime.now(UTC))
