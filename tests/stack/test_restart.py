"""The whole stack goes away, by a clean stop or by force, and comes back on the same folder."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from cli.embedded.config import StackConfig
from cli.embedded.stack import Stack
from crypto.encryption import Encryption
from crypto.key_ring import KeyRing
from domain.identity import IdentityKey
from tests.cli.embedded.processes import descendants, gone, kill_all
from tests.stack.conftest import TIME_SCALE
from tests.stack.shop import Place, open_shop
from tests.stack.test_kills import all_end_right, in_flight
from webhooks.stored_secrets import StoredSecrets

pytestmark = pytest.mark.stack


@pytest.fixture
def config(tmp_path: Path) -> StackConfig:
    return StackConfig(tmp_path / "state", sandbox_time_scale=TIME_SCALE)


@asynccontextmanager
async def run_elsewhere(config: StackConfig) -> AsyncIterator[tuple[Process, Place]]:
    """A stack under another process, which is gone in the end whatever happens."""
    arguments = [str(config.state_dir), str(config.sandbox_time_scale)]
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.stack.run_whole", *arguments, stdout=PIPE
    )
    try:
        assert parent.stdout is not None
        place = json.loads(await parent.stdout.readline())
        identity = IdentityKey(bytes.fromhex(place.pop("identity")))
        ring = KeyRing.from_file(config.state_dir / "payload-keys.toml")
        secrets = StoredSecrets(Encryption(ring))
        yield parent, Place(**place, identity=identity, stored_secrets=secrets)
    finally:
        if parent.returncode is None:
            kill_all([parent.pid])
        await parent.wait()


async def test_payments_outlive_a_clean_stop(config: StackConfig) -> None:
    async with AsyncExitStack() as held:
        async with Stack(config) as stack:
            shop = await held.enter_async_context(open_shop(stack))
            flights = await in_flight(shop)

        async with Stack(config) as stack:
            shop.move(stack)
            await all_end_right(shop, flights)


async def test_payments_outlive_the_stack_and_its_parent_killed_at_once(
    config: StackConfig,
) -> None:
    async with AsyncExitStack() as held:
        async with run_elsewhere(config) as (parent, place):
            shop = await held.enter_async_context(open_shop(place))
            flights = await in_flight(shop)
            family = {parent.pid, *descendants(parent.pid)}
            kill_all(family)
        await gone(family)

        async with Stack(config) as stack:
            shop.move(stack)
            await all_end_right(shop, flights)
