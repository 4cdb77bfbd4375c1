from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import PaymentError


class DatabaseUnavailable(PaymentError):  # noqa: N818 - the name says what it is
    """The database did not answer (down, restarting, overloaded, lock or statement timeout).

    Whether the change was made is unknown; every store verb is idempotent, so repeat it.
    """

    code = "database_unavailable"


class Database:
    """The pool of connections, and the two ways to use one."""

    def __init__(self, url: str) -> None:
        """`url` is `postgresql+asyncpg://…`."""

    async def close(self) -> None:
        """Close every connection."""

    async def ping(self) -> None:
        """One round trip; DatabaseUnavailable where there is no answer."""
