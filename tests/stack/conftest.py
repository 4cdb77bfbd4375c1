from collections.abc import AsyncIterator

import pytest

from cli.embedded.config import ONE_MERCHANT, StackConfig
from cli.embedded.stack import Stack
from tests.stack.shop import Shop, open_shop

# Providers repeat a notification first after 0.4 s (WeChat Pay) and 6 s (Alipay).
TIME_SCALE = 40


@pytest.fixture(scope="session")
async def whole_stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Every process, shared by these tests; each test has a merchant of its own."""
    state = tmp_path_factory.mktemp("stack") / "state"
    async with Stack(
        StackConfig(state, sandbox_time_scale=TIME_SCALE, variables=ONE_MERCHANT)
    ) as stack:
        yield stack


@pytest.fixture
async def shop(whole_stack: Stack) -> AsyncIterator[Shop]:
    async with open_shop(whole_stack) as shop:
        yield shop
