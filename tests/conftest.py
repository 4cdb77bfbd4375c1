import signal
from collections.abc import AsyncIterator

import pytest

from embedded.config import Service, StackConfig
from embedded.stack import Stack
from storage.database import Database
from storage.migrate import upgrade

# A shell that starts the suite in the background has it ignore Ctrl-C, and every program that a
# test starts would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
async def database_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A real PostgreSQL, migrated once; tests keep apart by merchants and ids of their own."""
    folder = tmp_path_factory.mktemp("postgres")
    async with Stack(StackConfig(folder, services=frozenset({Service.POSTGRES}))) as stack:
        await upgrade(stack.database_url)
        yield stack.database_url


@pytest.fixture(scope="session")
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()
