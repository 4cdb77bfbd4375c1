"""What the role of API and workers may not do, even where their process is taken over."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from domain.merchant import Merchant
from storage.database import Database
from storage.merchants import MerchantStore
from storage.ownership import OwnsTables, refuse_ownership
from storage.payments import PaymentStore
from storage.privileges import PRIVILEGES
from storage.tables import Row
from tests.domain.making import payment as make_payment

FORBIDDEN = asyncpg.InsufficientPrivilegeError
GUARDED = ("payments", "refunds", "events", "grants", "entitlements")


@pytest.fixture
async def runtime(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    yield connection
    await connection.close()


@pytest.mark.parametrize("table", GUARDED)
@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE {} DISABLE TRIGGER ALL",
        "DROP TABLE {} CASCADE",
        "TRUNCATE {} CASCADE",
        "DELETE FROM {}",
        "ALTER TABLE {} ADD COLUMN note text",
        "CREATE TRIGGER mine BEFORE INSERT ON {} FOR EACH ROW EXECUTE FUNCTION refuse_removal()",
        "ALTER TABLE {} OWNER TO paysaga_runtime",
    ],
)
async def test_no_guard_of_a_table_is_taken_away(
    runtime: asyncpg.Connection, table: str, statement: str
) -> None:
    with pytest.raises(FORBIDDEN):
        await runtime.execute(statement.format(table))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE payments SET id = gen_random_uuid()",
        "UPDATE payments SET merchant_id = 'mine'",
        "UPDATE payments SET amount = 1",
        "UPDATE payments SET currency = 'JPY'",
        "UPDATE payments SET account = 'mine'",
        "UPDATE payments SET request_hash = 'other'",
        "UPDATE payments SET created_at = now()",
        "UPDATE refunds SET amount = 1",
        "UPDATE refunds SET payment_id = gen_random_uuid()",
        "UPDATE refunds SET cause = 'operator'",
        "UPDATE events SET type = 'payment.succeeded'",
        "UPDATE events SET payment_id = gen_random_uuid()",
        "UPDATE grants SET transaction_id = '1'",
        "UPDATE notifications SET provider = 'alipay'",
        "UPDATE notifications SET content_hash = NULL",
        "UPDATE merchants SET id = 'mine'",
        "UPDATE api_keys SET merchant_id = 'mine'",
        "UPDATE api_keys SET digest = sha256('mine')",
        "UPDATE alembic_version SET version_num = '0001'",
        "DELETE FROM api_keys",
        "DELETE FROM merchants",
        "DELETE FROM notifications",
        "DELETE FROM alarms",
        "DELETE FROM deployment",
    ],
)
async def test_what_no_code_writes_is_not_written(
    runtime: asyncpg.Connection, statement: str
) -> None:
    with pytest.raises(FORBIDDEN):
        await runtime.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "SET ROLE paysaga",
        "SET session_replication_role = replica",
        "CREATE TABLE mine (id int)",
        "CREATE TEMPORARY TABLE payments (id int)",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE OR REPLACE FUNCTION guard_payment() RETURNS trigger LANGUAGE sql AS ''",
        "ALTER FUNCTION refuse(text, text) RENAME TO ignore",
        "CREATE SCHEMA mine",
        "CREATE DATABASE mine",
        "CREATE ROLE mine",
        "ALTER ROLE paysaga_runtime SUPERUSER",
        "SELECT rolpassword FROM pg_authid",
        "COPY payments TO PROGRAM 'cat'",
        "COPY payments FROM '/etc/passwd'",
        "SELECT pg_read_file('/etc/passwd')",
    ],
)
async def test_the_role_has_no_power_over_the_server(
    runtime: asyncpg.Connection, statement: str
) -> None:
    with pytest.raises(FORBIDDEN):
        await runtime.execute(statement)


def test_no_table_is_without_a_decision() -> None:
    decided = {granted.table for granted in PRIVILEGES}
    assert decided == {*Row.metadata.tables, "alembic_version"}


async def test_a_table_that_nobody_granted_is_not_read(
    runtime: asyncpg.Connection, owner_url: str
) -> None:
    owner = await asyncpg.connect(owner_url.replace("+asyncpg", ""))
    name = f"new_{uuid4().hex}"
    await owner.execute(f"CREATE TABLE {name} (id int)")
    try:
        with pytest.raises(FORBIDDEN):
            await runtime.execute(f"TABLE {name}")
    finally:
        await owner.execute(f"DROP TABLE {name}")
        await owner.close()


@pytest.fixture
async def recorded(database: Database) -> Any:
    merchant = Merchant(id=f"m-{uuid4().hex[:12]}", name="Shop")
    await MerchantStore(database).create(merchant)
    return await PaymentStore(database).record(
        make_payment(
            id=uuid4(),
            merchant_id=merchant.id,
            idempotency_key=uuid4().hex,
            order_no=uuid4().hex,
            metadata={"customer": "Ann"},
        )
    )


async def test_metadata_is_not_replaced_by_other_metadata(
    runtime: asyncpg.Connection, recorded: Any
) -> None:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await runtime.execute(
            'UPDATE payments SET metadata = \'{"customer": "Bob"}\' WHERE id = $1', recorded.id
        )


async def test_production_does_not_run_as_the_tables_owner(
    database: Database, owner_database: Database
) -> None:
    await refuse_ownership(database)
    with pytest.raises(OwnsTables, match="PAYSAGA_DATABASE_RUNTIME_ROLE"):
        await refuse_ownership(owner_database)


async def test_no_trigger_is_shown_another_table_of_the_same_name(
    runtime: asyncpg.Connection,
) -> None:
    rows = await runtime.fetch(
        """
        SELECT proname FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace
          AND NOT coalesce('search_path=public, pg_temp' = ANY (proconfig), false)
        """
    )
    assert [row["proname"] for row in rows] == []
