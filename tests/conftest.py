import signal
from collections.abc import AsyncIterator
from typing import NoReturn

import pytest
from temporalio.testing import WorkflowEnvironment

from cli.embedded.config import Service, StackConfig
from cli.embedded.stack import Stack
from storage.database import Database

# One API with its servers for all who knock at its door, whichever folder they live in.
pytest_plugins = ["tests.api.fixtures"]

# Who starts the suite in the background (a shell, nohup) has it ignore these, and every program
# that a test starts would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--no-servers", action="store_true", help="Fail what starts PostgreSQL or Temporal."
    )


def pytest_configure(config: pytest.Config) -> None:
    """Hold `make test-fast` to its promise, whichever fixture a new test has."""
    if config.getoption("--no-servers"):
        setattr(Stack, "__aenter__", _start_nothing)  # noqa: B010 - mypy allows no other way
        for name in dir(WorkflowEnvironment):
            if name.startswith("start_"):
                setattr(WorkflowEnvironment, name, _start_nothing)


async def _start_nothing(*_arguments: object, **_options: object) -> NoReturn:
    pytest.fail("This test starts a server: it is none of `make test-fast` (Makefile).")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that start whole stacks come first, else one tester ends long after the others."""
    items.sort(key=lambda item: item.get_closest_marker("stack") is None)


@pytest.fixture(scope="session")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """A real PostgreSQL, migrated once; tests keep apart by merchants and ids of their own."""
    folder = tmp_path_factory.mktemp("postgres")
    async with Stack(StackConfig(folder, services=frozenset({Service.POSTGRES}))) as stack:
        await stack.migrate()
        yield stack


@pytest.fixture(scope="session")
def database_url(postgres: Stack) -> str:
    """The database for the role that API and workers run as."""
    return postgres.database_url


@pytest.fixture(scope="session")
def owner_url(postgres: Stack) -> str:
    """The same for the role that owns the tables: past every privilege, held by the guards."""
    return postgres.database_owner_url


@pytest.fixture(scope="session")
async def owner_database(owner_url: str) -> AsyncIterator[Database]:
    """The database for the role that owns it, where a test needs what no process of ours may do."""
    database = Database(owner_url)
    yield database
    await database.close()


@pytest.fixture(scope="session")
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()
