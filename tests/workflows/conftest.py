from collections.abc import AsyncIterator

import pytest
from temporalio.testing import WorkflowEnvironment

from storage.database import Database
from tests.workflows.shop import Shop
from tests.workflows.stage import open_shop, open_temporal


@pytest.fixture(scope="session")
async def temporal() -> AsyncIterator[WorkflowEnvironment]:
    async with open_temporal() as env:
        yield env


@pytest.fixture(scope="session")
async def shop(temporal: WorkflowEnvironment, database: Database) -> AsyncIterator[Shop]:
    async with open_shop(temporal, database) as shop:
        yield shop
