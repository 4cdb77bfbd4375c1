"""Our database, read in one snapshot."""

from typing import Any

from sqlalchemy import Table, select, text

from domain.merchant import Merchant
from reconciliation.audit.records import Chain, DatabaseRecords
from storage.database import Database
from storage.rows import to_event, to_merchant, to_payment, to_refund
from storage.tables import events, grants, merchants, payments, refunds


async def read_database(database: Database) -> DatabaseRecords:
    """Every payment, refund and event, all of one moment. DatabaseUnavailable."""
    async with database.transaction() as connection:
        await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))

        async def rows(table: Table, *order: str) -> list[dict[str, object]]:
            statement = select(table).order_by(*(table.c[name] for name in order))
            return [dict(row) for row in (await connection.execute(statement)).mappings()]

        return DatabaseRecords(
            payments=[to_payment(row) for row in await rows(payments, "created_at", "id")],
            refunds=[to_refund(row) for row in await rows(refunds, "created_at", "id")],
            events=[to_event(row) for row in await rows(events, "payment_id", "sequence")],
            chains=[_chain(row) for row in await rows(grants, "granted_at", "transaction_id")],
        )


def _chain(row: dict[str, Any]) -> Chain:
    names = ("payment_id", "provider", "account", "original_transaction_id")
    return Chain(**{name: row[name] for name in names})


async def read_merchants(database: Database) -> list[Merchant]:
    """Every merchant. DatabaseUnavailable."""
    async with database.statement() as connection:
        found = await connection.execute(select(merchants).order_by(merchants.c.id))
        return [to_merchant(row) for row in found.mappings()]
