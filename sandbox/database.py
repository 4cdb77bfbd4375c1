import functools
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
    provider TEXT, merchant TEXT, reference TEXT, provider_reference TEXT,
    status TEXT, expires_at TEXT, document TEXT,
    PRIMARY KEY (provider, merchant, reference));
CREATE INDEX IF NOT EXISTS orders_reference ON orders (provider, reference);
CREATE INDEX IF NOT EXISTS orders_provider_reference ON orders (provider, provider_reference);
CREATE INDEX IF NOT EXISTS orders_status ON orders (provider, status);
CREATE INDEX IF NOT EXISTS orders_payer ON orders (provider, json_extract(document, '$.payer'));
CREATE TABLE IF NOT EXISTS refunds (
    provider TEXT, merchant TEXT, reference TEXT, refund_reference TEXT,
    provider_reference TEXT, status TEXT, document TEXT,
    PRIMARY KEY (provider, merchant, reference, refund_reference));
CREATE INDEX IF NOT EXISTS refunds_reference ON refunds (provider, refund_reference);
CREATE INDEX IF NOT EXISTS refunds_status ON refunds (provider, status);
CREATE TABLE IF NOT EXISTS payer_codes (
    provider TEXT, code TEXT, merchant TEXT, reference TEXT, PRIMARY KEY (provider, code));
CREATE TABLE IF NOT EXISTS ledger (
    id INTEGER PRIMARY KEY, provider TEXT, merchant TEXT, reference TEXT,
    refund_reference TEXT, kind TEXT, amount INTEGER, at TEXT);
CREATE TABLE IF NOT EXISTS faults (
    id INTEGER PRIMARY KEY, provider TEXT, operation TEXT, kind TEXT,
    reference TEXT, times INTEGER, params TEXT);
CREATE TABLE IF NOT EXISTS deliveries (
    id TEXT PRIMARY KEY, provider TEXT, reference TEXT, state TEXT, document TEXT);
CREATE INDEX IF NOT EXISTS deliveries_state ON deliveries (state);
CREATE INDEX IF NOT EXISTS deliveries_reference ON deliveries (provider, reference);
CREATE TABLE IF NOT EXISTS attempts (
    id INTEGER PRIMARY KEY, delivery_id TEXT, provider TEXT, reference TEXT, kind TEXT, url TEXT,
    at TEXT, status INTEGER, answer TEXT, accepted INTEGER, fault TEXT);
CREATE INDEX IF NOT EXISTS attempts_delivery ON attempts (delivery_id);
CREATE TABLE IF NOT EXISTS received (
    id INTEGER PRIMARY KEY, name TEXT, at TEXT, headers TEXT, body TEXT, status INTEGER);
CREATE TABLE IF NOT EXISTS scripts (
    id INTEGER PRIMARY KEY, name TEXT, times INTEGER, document TEXT);
"""
TABLES = (
    "orders",
    "refunds",
    "payer_codes",
    "ledger",
    "faults",
    "deliveries",
    "attempts",
    "received",
    "scripts",
)


class Database:
    """One SQLite file, one connection, used from the event loop's thread only.

    Nothing awaits inside a transaction, so state changes are serial. The write-ahead log makes
    every committed change survive `kill -9`. The file is opened at the first use, and again at the
    first after `close`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._depth = 0

    @functools.cached_property
    def _connection(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.executescript(SCHEMA)
        return connection

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; a transaction inside a transaction joins it."""
        if self._depth == 0:
            self._connection.execute("BEGIN IMMEDIATE")
        self._depth += 1
        try:
            yield
        except BaseException:
            self._depth -= 1
            if self._depth == 0:
                self._connection.execute("ROLLBACK")
            raise
        self._depth -= 1
        if self._depth == 0:
            self._connection.execute("COMMIT")

    def execute(self, sql: str, *values: Any) -> int:
        """Run one statement; returns the id of the row it inserted."""
        return self._connection.execute(sql, values).lastrowid or 0

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """Every row as a dict; columns that hold JSON stay text."""
        return [dict(row) for row in self._connection.execute(sql, values)]

    def documents(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """The parsed `document` column of every row."""
        return [json.loads(row["document"]) for row in self._connection.execute(sql, values)]

    def clear(self) -> None:
        """Forget everything that happened; keys and certificates stay."""
        with self.transaction():
            for table in TABLES:
                self.execute(f"DELETE FROM {table}")  # noqa: S608 - names from the tuple above

    def close(self) -> None:
        """Close the file, if it is open."""
        connection = self.__dict__.pop("_connection", None)
        if connection is not None:
            connection.close()
