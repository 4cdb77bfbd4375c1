"""The one way to PostgreSQL: a pool, a statement, a transaction, and what their failures mean."""

import logging
import math
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncpg
from sqlalchemy import event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from domain.errors import ConstraintViolation, PaymentError

# Every verb is one or two short statements: more connections would only queue inside PostgreSQL,
# whose limit several API and worker processes share. All are kept: one beyond the kept ones would
# be opened and closed for a single statement, which costs more than the statement.
POOL_SIZE = 20
# Longer than any statement may take; a caller that waits longer gets "busy".
POOL_WAIT_SECONDS = 10.0
CONNECT_SECONDS = 5.0
# A connection that rested longer is pinged before it is used, one round trip; a ping each time was
# a fifth of all queries.
RESTED_SECONDS = 2.0
_RESTS_SINCE = "rests_since"
_SERVER_SETTINGS = {
    "application_name": "paysaga",
    # The slowest verb takes milliseconds; what takes seconds is stuck behind a lock.
    "statement_timeout": "8s",
    "lock_timeout": "5s",
    # A process that dies or hangs inside a transaction must not hold a payment's lock for long.
    "idle_in_transaction_session_timeout": "10s",
    # No just-in-time compilation: it costs more than our queries take.
    "jit": "off",
}
# SQLSTATE classes: connection, transaction rollback (deadlock), resources, state (lock timeout),
# intervention (shutdown, statement timeout). https://www.postgresql.org/docs/18/errcodes-appendix.html
_PASSING_CLASSES = frozenset({"08", "40", "53", "55", "57"})
_IDLE_IN_TRANSACTION_TIMEOUT = "25P03"
# Data that has no form here, and constraints. Class 42 (a column that is not there) is not final:
# it may be a migration that is still to come.
_VIOLATION_CLASSES = frozenset({"22", "23"})

_log = logging.getLogger(__name__)


class DatabaseUnavailable(PaymentError):  # noqa: N818 - the name says what it is
    """The database did not answer (down, restarting, overloaded, lock or statement timeout).

    Whether the change took effect is unknown; every store verb is idempotent, so repeat it.
    """

    code = "database_unavailable"


class Database:
    """The pool of connections, and the two ways to use one.

    Transient failures are raised as `DatabaseUnavailable`, values that the schema does not allow as
    `ConstraintViolation`.
    """

    def __init__(self, url: str) -> None:
        """`url` is `postgresql+asyncpg://…`; nothing is opened before the first use."""
        self._engine = create_async_engine(
            url,
            pool_size=POOL_SIZE,
            max_overflow=0,
            pool_timeout=POOL_WAIT_SECONDS,
            isolation_level="AUTOCOMMIT",
            connect_args={"server_settings": _SERVER_SETTINGS, "timeout": CONNECT_SECONDS},
            # Log lines and error texts must not carry what payers and merchants sent.
            hide_parameters=True,
        )
        event.listen(self._engine.sync_engine, "checkin", _note_rest)
        event.listen(self._engine.sync_engine, "checkout", _replace_dead)
        self._transactional = self._engine.execution_options(isolation_level="READ COMMITTED")

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[AsyncConnection]:
        """A connection on which each statement commits by itself: one round trip a verb."""
        with _translated():
            async with self._engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """All or nothing. Never held across a call to anything but this database."""
        with _translated():
            async with self._transactional.begin() as connection:
                yield connection

    async def ping(self) -> None:
        """One round trip; DatabaseUnavailable where there is no answer."""
        async with self.statement() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()


def _note_rest(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info[_RESTS_SINCE] = time.monotonic()


def _replace_dead(
    connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: PoolProxiedConnection
) -> None:
    """Have a dead connection replaced, so that a restarted database costs no caller an error.

    The driver sees a connection end; only where the network lost that must the server be pinged.
    """
    asyncpg_connection: Any = connection
    if asyncpg_connection.driver_connection.is_closed():
        raise DisconnectionError
    rested = time.monotonic() - record.info.get(_RESTS_SINCE, -math.inf)
    if not RESTED_SECONDS < rested < math.inf:
        return
    try:
        asyncpg_connection.ping()
    except (OSError, asyncpg_connection.dbapi.Error) as error:
        raise DisconnectionError from error


def violated(error: DBAPIError) -> str | None:
    """The name of the violated constraint, or None."""
    # SQLAlchemy wraps the driver's error twice; only the innermost one names the constraint.
    cause = error.orig.__cause__ if error.orig else None
    return getattr(cause, "constraint_name", None)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if (violation := _violation(error)) is not None:
            # Not "from error": its text carries the statement, and the row.
            raise violation from None
        if not _passes(error):
            raise
        raise DatabaseUnavailable("The database did not answer in time.") from error
    except PoolTimeoutError as error:
        raise DatabaseUnavailable("Every database connection is busy.") from error
    except (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError) as error:
        raise DatabaseUnavailable("The database cannot be reached.") from error


def _violation(error: DBAPIError) -> ConstraintViolation | None:
    state = _state(error)
    if state[:2] not in _VIOLATION_CLASSES:
        return None
    rule = violated(error) or f"SQLSTATE {state}"
    _log.error("constraint violation: %s", rule)
    return ConstraintViolation(f"The database does not allow this ({rule}).")


def _state(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "")


def _passes(error: DBAPIError) -> bool:
    state = _state(error)
    return (
        error.connection_invalidated
        or isinstance(error, InterfaceError)
        or state[:2] in _PASSING_CLASSES
        or state == _IDLE_IN_TRANSACTION_TIMEOUT
    )
