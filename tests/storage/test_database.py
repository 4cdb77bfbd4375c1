import asyncio
import gc
import socket
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

import storage.database
from domain.errors import ConstraintViolation
from storage.database import POOL_SIZE, Database, DatabaseUnavailable
from storage.payments import PaymentStore
from tests.storage.making import NewPayment
from tests.storage.raw import end_connection_running, in_one_transaction


@pytest.fixture
def nowhere() -> str:
    """The URL of a port where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"postgresql+asyncpg://paysaga:x@127.0.0.1:{free.getsockname()[1]}/paysaga"


async def test_a_database_that_is_down_is_unavailable_and_not_a_strange_error(
    nowhere: str,
) -> None:
    database = Database(nowhere)
    with pytest.raises(DatabaseUnavailable):
        await database.ping()
    await database.close()


async def test_a_database_that_is_up_answers_a_ping(database: Database) -> None:
    await database.ping()


async def test_connections_that_the_server_ended_cost_no_caller_an_error(
    database_url: str, sql: asyncpg.Connection
) -> None:
    database = Database(database_url)
    async with database.statement() as connection:
        pid = await connection.scalar(text("SELECT pg_backend_pid()"))
        driver: Any = (await connection.get_raw_connection()).driver_connection
    await sql.execute("SELECT pg_terminate_backend($1, 5000)", pid)
    async with asyncio.timeout(10):
        while not driver.is_closed():  # noqa: ASYNC110 - the end arrives in its own time
            await asyncio.sleep(0.01)

    await database.ping()
    await database.close()


async def test_bursts_use_the_same_connections_again(database_url: str) -> None:
    database = Database(database_url)

    async def backend() -> int:
        async with database.statement() as connection:
            found = await connection.scalar(text("SELECT pg_backend_pid() FROM pg_sleep(0.02)"))
        return int(found)

    first, second = [
        set(await asyncio.gather(*(backend() for _ in range(3 * POOL_SIZE)))) for _ in range(2)
    ]

    assert len(first) == POOL_SIZE
    assert second == first
    await database.close()


# The dead connection is dropped without a goodbye, which its library complains of.
@pytest.mark.filterwarnings("ignore:unclosed connection:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_connection_that_rested_is_asked_whether_it_lives(
    database_url: str, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(database_url)
    async with database.statement() as connection:
        pid = await connection.scalar(text("SELECT pg_backend_pid()"))
    await sql.execute("SELECT pg_terminate_backend($1, 5000)", pid)
    # As where the network lost the server's last word.
    monkeypatch.setattr(asyncpg.Connection, "is_closed", lambda _: False)
    monkeypatch.setattr(storage.database, "RESTED_SECONDS", 0)

    await database.ping()
    monkeypatch.undo()
    await database.close()
    gc.collect()


async def test_a_connection_that_ends_mid_statement_is_unavailable(
    database: Database, sql: asyncpg.Connection
) -> None:
    sleep = f"SELECT pg_sleep(7) AS nap_{uuid4().hex}"

    with pytest.raises(DatabaseUnavailable):
        await asyncio.gather(
            in_one_transaction(database, sleep), end_connection_running(sql, sleep)
        )


async def test_a_statement_that_takes_too_long_is_stopped(database: Database) -> None:
    with pytest.raises(DatabaseUnavailable):
        await in_one_transaction(
            database, "SET LOCAL statement_timeout = '20ms'", "SELECT pg_sleep(7)"
        )


async def test_a_lock_that_somebody_keeps_is_not_waited_for_without_end(
    database: Database, payments: PaymentStore, new_payment: NewPayment, sql: asyncpg.Connection
) -> None:
    payment = await payments.record(new_payment())
    async with sql.transaction():
        await sql.execute("SELECT FROM payments WHERE id = $1 FOR UPDATE", payment.id)
        with pytest.raises(DatabaseUnavailable):
            await in_one_transaction(
                database,
                "SET LOCAL lock_timeout = '20ms'",
                f"SELECT FROM payments WHERE id = '{payment.id}' FOR UPDATE",
            )


async def test_every_connection_has_its_limits(database: Database) -> None:
    async with database.statement() as connection:
        for setting in (
            "statement_timeout",
            "lock_timeout",
            "idle_in_transaction_session_timeout",
        ):
            assert await connection.scalar(text(f"SHOW {setting}")) != "0"


async def test_our_own_mistake_in_sql_is_not_mistaken_for_an_outage(database: Database) -> None:
    with pytest.raises(DBAPIError) as raised:
        async with database.statement() as connection:
            await connection.execute(text("SELECT nothing FROM nowhere"))
    assert not isinstance(raised.value, DatabaseUnavailable)


@pytest.mark.parametrize("spoiled", ["a\x00b", "a\ud800b"])
@pytest.mark.parametrize("field", ["subject", "metadata"])
async def test_what_the_database_cannot_keep_is_refused_and_never_an_outage(
    payments: PaymentStore, new_payment: NewPayment, field: str, spoiled: str
) -> None:
    value = {"table": spoiled} if field == "metadata" else spoiled
    with pytest.raises(ConstraintViolation) as raised:
        await payments.record(new_payment(**{field: value}))
    for told in ("INSERT", "SELECT", spoiled, "Long Jing"):
        assert told not in _everything_said(raised.value)


async def test_a_broken_rule_is_refused_by_its_name_alone(
    database: Database, payments: PaymentStore, new_payment: NewPayment
) -> None:
    payment = await payments.record(new_payment(subject="a secret gift"))
    with pytest.raises(ConstraintViolation) as raised:
        await in_one_transaction(
            database,
            f"UPDATE payments SET refund_reserved = -1 WHERE id = '{payment.id}'",  # noqa: S608
        )
    said = _everything_said(raised.value)
    assert "payments_reserved_not_negative" in said
    assert "UPDATE" not in said
    assert "a secret gift" not in said


def _everything_said(error: BaseException) -> str:
    """The error as Temporal would keep it: its message, and those of its causes."""
    return str(error) + (_everything_said(error.__cause__) if error.__cause__ else "")


async def test_an_error_does_not_carry_what_was_stored(database: Database) -> None:
    with pytest.raises(DBAPIError) as raised:
        async with database.statement() as connection:
            await connection.execute(text("SELECT nothing_at(:secret)"), {"secret": "whsec_1"})
    assert "[SQL parameters hidden" in str(raised.value)
    assert "whsec_1" not in str(raised.value)


async def test_a_transaction_that_fails_leaves_nothing(
    database: Database, payments: PaymentStore, new_payment: NewPayment
) -> None:
    payment = await payments.record(new_payment())

    with pytest.raises(DBAPIError):
        await in_one_transaction(
            database,
            f"UPDATE payments SET attention = 'contradiction' WHERE id = '{payment.id}'",  # noqa: S608
            "SELECT nothing FROM nowhere",
        )

    assert await payments.get(payment.id) == payment


async def test_a_pool_with_nothing_free_is_unavailable(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"POOL_SIZE": 1, "POOL_WAIT_SECONDS": 0.05}.items():
        monkeypatch.setattr(storage.database, name, value)
    database = Database(database_url)
    async with database.statement():
        with pytest.raises(DatabaseUnavailable):
            await database.ping()
    await database.close()
