"""Past the stores, by plain SQL."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlalchemy import text

from storage.database import Database

UntilWaiting = Callable[[int], Awaitable[None]]


class Raw:
    """A payment or refund, changed and copied by plain SQL."""

    def __init__(self, sql: asyncpg.Connection, table: str, row_id: UUID) -> None:
        self._sql = sql
        self._table = table
        self._id = row_id

    async def update(self, assignments: str) -> None:
        await self._sql.execute(
            f"UPDATE {self._table} SET {assignments} WHERE id = $1",  # noqa: S608 - a test's own
            self._id,
        )

    async def copy(self, **changes: Any) -> None:
        """Insert the row again with some columns changed."""
        row = await self._sql.fetchval(
            f"SELECT to_jsonb(t)::text FROM {self._table} t WHERE id = $1",  # noqa: S608
            self._id,
        )
        await self._sql.execute(
            f"INSERT INTO {self._table} "  # noqa: S608
            f"SELECT * FROM jsonb_populate_record(NULL::{self._table}, $1::jsonb)",
            json.dumps(json.loads(row) | {"id": str(uuid4())} | changes),
        )


@contextmanager
def refused(rule: str) -> Iterator[None]:
    """Expects the database to refuse by the rule of this name."""
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refusal:
        yield
    assert refusal.value.constraint_name == rule


async def in_one_transaction(database: Database, *statements: str) -> None:
    """Runs the statements as a store would run its own."""
    async with database.transaction() as connection:
        for statement in statements:
            await connection.execute(text(statement))


async def end_connection_running(sql: asyncpg.Connection, statement: str) -> None:
    """Ends the server's side of whoever runs this statement, once somebody does."""
    query = "SELECT pid FROM pg_stat_activity WHERE query = $1 AND state = 'active'"
    while (pid := await sql.fetchval(query, statement)) is None:  # noqa: ASYNC110 - nothing to await
        await asyncio.sleep(0.01)
    await sql.execute("SELECT pg_terminate_backend($1)", pid)


@asynccontextmanager
async def locked(sql: asyncpg.Connection, payment_id: UUID) -> AsyncIterator[UntilWaiting]:
    """Holds a payment's row until so many wait for it, so that a race runs the worst way."""

    async def until(waiting: int) -> None:
        query = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        while await sql.fetchval(query) < waiting:  # noqa: ASYNC110 - nothing to await
            await asyncio.sleep(0.01)

    async with sql.transaction():
        await sql.execute("SELECT FROM payments WHERE id = $1 FOR UPDATE", payment_id)
        yield until
