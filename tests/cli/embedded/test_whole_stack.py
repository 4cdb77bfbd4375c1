import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from cli.embedded.config import Service, StackConfig
from cli.embedded.stack import Stack
from tests.cli.embedded.processes import PATIENCE_SECONDS, kill, kill_all, replaced

pytestmark = pytest.mark.stack


@pytest.fixture(scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    folder = tmp_path_factory.mktemp("whole")
    async with Stack(StackConfig(folder / "state")) as stack:
        yield stack


async def assert_ready(stack: Stack) -> None:
    for name in Service:
        await stack.wait_ready(name)
    # A restarted Temporal sees its pollers again only when they have come back.
    async with httpx.AsyncClient(trust_env=False) as http, asyncio.timeout(PATIENCE_SECONDS):
        while not (await http.get(f"{stack.api_url}/readyz")).is_success:  # noqa: ASYNC110
            await asyncio.sleep(0.2)


async def test_every_link_opens(stack: Stack) -> None:
    assert list(stack.links) == ["API documentation", "Temporal UI", "Sandbox cashier"]
    async with httpx.AsyncClient(trust_env=False) as http:
        for url in stack.links.values():
            assert (await http.get(url)).status_code == httpx.codes.OK


async def test_the_api_opens_payloads_for_the_temporal_ui_and_for_no_other_page(
    stack: Stack,
) -> None:
    asked = {"Access-Control-Request-Method": "POST"}
    url = f"{stack.api_url}/ops/codec/decode"
    async with httpx.AsyncClient(trust_env=False) as http:
        ui = await http.options(url, headers=asked | {"Origin": stack.ui_url})
        other = await http.options(url, headers=asked | {"Origin": "http://evil.example"})

    assert ui.headers["access-control-allow-origin"] == stack.ui_url
    assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize("name", list(Service))
async def test_any_one_process_killed_comes_back(stack: Stack, name: Service) -> None:
    await kill(stack, name)

    await assert_ready(stack)


async def test_all_processes_killed_at_once_come_back(stack: Stack) -> None:
    old = {name: stack.process(name) for name in Service}
    kill_all(old.values())
    for name in Service:
        await replaced(stack, name, old[name])

    await assert_ready(stack)
