"""What the role of API and workers may not do, even where their process is taken over."""

from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest

from cli.embedded.stack import Stack
from storage.database import Database
from storage.migrate import upgrade
from storage.ownership import OwnsTables, refuse_ownership
from storage.privileges import FUNCTIONS, PRIVILEGES, UnusableRole
from storage.tables import Row
from tests.storage.making import Paid
from tests.storage.raw import refused

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
        "CREATE TRIGGER mine BEFORE INSERT ON {} FOR EACH ROW EXECUTE FUNCTION forbid_removal()",
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
        "ALTER FUNCTION raise_violation(text, text) RENAME TO ignore",
        "CREATE SCHEMA mine",
        "CREATE DATABASE mine",
        "CREATE ROLE mine",
        "ALTER ROLE paysaga_runtime SUPERUSER",
        "SELECT rolpassword FROM pg_authid",
        "COPY payments TO PROGRAM 'cat'",
        "COPY payments FROM '/etc/passwd'",
        "SELECT pg_read_file('/etc/passwd')",
        "ALTER SYSTEM SET log_statement = 'none'",
        "GRANT paysaga TO CURRENT_USER",
        "ALTER FUNCTION guard_payment() RESET search_path",
        "BEGIN; LOCK TABLE payments IN ACCESS EXCLUSIVE MODE",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename <> current_user",
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


async def test_a_table_and_a_function_of_a_later_migration_are_closed_until_granted(
    runtime: asyncpg.Connection, sql: asyncpg.Connection
) -> None:
    name = f"new_{uuid4().hex}"
    await sql.execute(f"CREATE TABLE {name} (id int)")
    await sql.execute(f"CREATE FUNCTION {name}() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    try:
        for statement in ("TABLE {}", "INSERT INTO {} VALUES (1)", "SELECT {}()"):
            with pytest.raises(FORBIDDEN):
                await runtime.execute(statement.format(name))
    finally:
        await sql.execute(f"DROP FUNCTION {name}(); DROP TABLE {name}")


async def test_a_privilege_given_by_hand_is_not_there_after_the_next_migration(
    postgres: Stack, runtime: asyncpg.Connection, sql: asyncpg.Connection
) -> None:
    name = f"new_{uuid4().hex}"
    given = (
        "GRANT DELETE ON payments TO paysaga_runtime",
        "GRANT UPDATE (amount) ON payments TO PUBLIC",
        "GRANT ALL ON SCHEMA public TO PUBLIC",
        "GRANT EXECUTE ON FUNCTION forbid_removal() TO PUBLIC",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO paysaga_runtime",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
    )
    for statement in given:
        await sql.execute(statement)

    await postgres.migrate()

    await sql.execute(f"CREATE TABLE {name} (id int)")
    try:
        for statement in (
            *("DELETE FROM payments", "UPDATE payments SET amount = 1", f"TABLE {name}"),
            "CREATE TABLE mine (id int)",
        ):
            with pytest.raises(FORBIDDEN):
                await runtime.execute(statement)
    finally:
        await sql.execute(f"DROP TABLE {name}")
    everyone = "SELECT has_function_privilege('public', 'forbid_removal()', 'EXECUTE')"
    assert not await sql.fetchval(everyone)


async def test_no_function_is_called_that_was_not_named(runtime: asyncpg.Connection) -> None:
    callable_ = await runtime.fetch(
        "SELECT oid FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        " AND has_function_privilege(oid, 'EXECUTE')"
    )
    named = [await runtime.fetchval(f"SELECT '{name}'::regprocedure::oid") for name in FUNCTIONS]
    assert {row["oid"] for row in callable_} == set(named)


async def test_nothing_of_ours_is_open_to_every_role(sql: asyncpg.Connection) -> None:
    granted = await sql.fetch(
        """
        SELECT name, acl.privilege_type FROM (
            SELECT relname::text AS name, relacl AS acl FROM pg_class
            WHERE relnamespace = 'public'::regnamespace
            UNION ALL SELECT attname, attacl FROM pg_attribute JOIN pg_class ON oid = attrelid
            WHERE relnamespace = 'public'::regnamespace
            UNION ALL SELECT proname, coalesce(proacl, acldefault('f', proowner)) FROM pg_proc
            WHERE pronamespace = 'public'::regnamespace
            UNION ALL SELECT 'schema', nspacl FROM pg_namespace WHERE nspname = 'public'
            UNION ALL SELECT 'database', datacl FROM pg_database WHERE datname = current_database()
        ) AS objects, aclexplode(objects.acl) AS acl WHERE acl.grantee = 0
        """
    )
    assert granted == []


async def test_the_runtime_role_does_not_hand_a_privilege_on(
    runtime: asyncpg.Connection,
) -> None:
    acl = "SELECT relacl::text FROM pg_class WHERE oid = 'payments'::regclass"
    before = await runtime.fetchval(acl)

    # PostgreSQL only warns where a role has privileges and may not grant them.
    await runtime.execute("GRANT ALL ON payments TO PUBLIC")

    assert await runtime.fetchval(acl) == before


async def test_the_owner_or_nobody_is_not_taken_for_the_runtime_role(
    owner_url: str, sql: asyncpg.Connection
) -> None:
    member = f"member_{uuid4().hex}"
    await sql.execute(f"CREATE ROLE {member} IN ROLE paysaga")
    try:
        for role in ("paysaga", member):
            with pytest.raises(UnusableRole, match=r"Name another in PAYSAGA_DATABASE_RUNTIME"):
                await upgrade(owner_url, runtime_role=role)
    finally:
        await sql.execute(f"DROP ROLE {member}")
    with pytest.raises(UnusableRole, match=r"There is no database role 'nobody-else'"):
        await upgrade(owner_url, runtime_role="nobody-else")


async def test_no_guard_reads_a_table_that_a_caller_made_up(
    sql: asyncpg.Connection, paid: Paid
) -> None:
    """A temporary table comes first in a search path that does not name pg_temp."""
    payment = await paid()
    columns = "id uuid, refund_reserved int, refunded int"
    await sql.execute(f"CREATE TEMPORARY TABLE payments ({columns})")
    try:
        with refused("payments_refunds_balance"):
            await sql.execute(
                "UPDATE public.payments SET refund_reserved = 1 WHERE id = $1", payment.id
            )
    finally:
        await sql.execute("DROP TABLE pg_temp.payments")


async def test_a_replaced_function_does_not_keep_its_callers_search_path(
    postgres: Stack, sql: asyncpg.Connection
) -> None:
    await sql.execute("ALTER FUNCTION forbid_removal() RESET search_path")
    await postgres.migrate()
    path = "SELECT proconfig FROM pg_proc WHERE oid = 'forbid_removal()'::regprocedure"
    assert await sql.fetchval(path) == ["search_path=public, pg_temp"]


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
