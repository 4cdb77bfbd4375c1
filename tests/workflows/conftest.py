import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import wraps
from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment

from storage.database import Database
from tests.workflows.shop import Shop
from tests.workflows.stage import open_shop, open_temporal

# Seconds. A run that never ends fails its own test, not the whole session.
LONGEST_TEST = 40


@pytest.fixture(scope="session")
async def temporal() -> AsyncIterator[WorkflowEnvironment]:
    async with open_temporal() as env:
        yield env


@pytest.fixture(scope="session")
async def shop(temporal: WorkflowEnvironment, database: Database) -> AsyncIterator[Shop]:
    async with open_shop(temporal, database) as shop:
        yield shop


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if (
            isinstance(item, pytest.Function)
            and Path(__file__).parent in item.path.parents
            and inspect.iscoroutinefunction(item.obj)
        ):
            item.obj = _in_time(item.obj)


def _in_time(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @wraps(test)
    async def run(**fixtures: object) -> None:
        async with asyncio.timeout(LONGEST_TEST):
            await test(**fixtures)

    return run
