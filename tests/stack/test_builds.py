"""An upgrade to a build with changed workflows, and going back from it: no payment is left."""

import asyncio
import contextlib
import json
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from temporalio.client import Client
from typer.testing import CliRunner

from cli.app import app
from cli.builds import STRANDED
from cli.embedded.config import ONE_MERCHANT, Service, StackConfig
from cli.embedded.stack import ENV_FILE, Stack
from domain.identity import payment_workflow_id, refund_workflow_id
from engine.build_moves import Outcome, move
from engine.builds import promote, read_builds
from engine.sweep import sweep_now
from tests.stack.books import books_agree
from tests.stack.shop import Order, Shop, open_shop
from tests.stack.waiting import eventually

pytestmark = pytest.mark.stack

ROOT = Path(__file__).parents[2]
PACKAGES = (
    *("activities", "api", "crypto", "domain", "engine", "providers", "storage", "webhooks"),
    "workflows",
)
FIRST_STEP = "        placed = await self._place()\n"


class Builds:
    """Processes of other builds beside a stack whose API and worker are of the build `one`."""

    def __init__(self, stack: Stack, folder: Path, client: Client) -> None:
        self.stack = stack
        self.client = client
        self._folder = folder

    def sources(self, build: str, *, changed: bool) -> Path:
        """The code of a build; `changed` so that neither can replay what the other began."""
        target = self._folder / build
        for package in PACKAGES:
            shutil.copytree(ROOT / package, target / package, ignore=_caches)
        for file in ("settings.py", "worker.py"):
            shutil.copy(ROOT / file, target / file)
        if changed:
            path = target / "workflows" / "payment.py"
            text = path.read_text()
            assert FIRST_STEP in text
            step = "        await workflow.sleep(0.05)\n"
            path.write_text(text.replace(FIRST_STEP, step + FIRST_STEP))
        return target

    @asynccontextmanager
    async def worker(self, build: str, sources: Path) -> AsyncIterator[None]:
        async with self._process(build, sources, "worker.py"):
            await eventually(lambda: self._polls(build))
            yield

    @asynccontextmanager
    async def api(self, build: str, sources: Path) -> AsyncIterator[str]:
        port = str(_free_port())
        server = ("-m", "uvicorn", "--factory", "api.app:create_app", "--port", port)
        async with self._process(build, sources, *server):
            url = f"http://127.0.0.1:{port}"
            async with httpx.AsyncClient(base_url=url, trust_env=False) as http:

                async def ready() -> None:
                    assert (await http.get("/readyz")).is_success

                await eventually(ready)
            yield url

    async def of(self, order: Order) -> str:
        """The build that the order's workflow is pinned to."""
        handle = self.client.get_workflow_handle(payment_workflow_id(order.id))
        found = (await handle.describe()).raw_description.workflow_execution_info
        return found.versioning_info.deployment_version.build_id

    async def _polls(self, build: str) -> None:
        assert build in {each.id for each in await read_builds(self.client) if each.polled}

    @asynccontextmanager
    async def _process(self, build: str, sources: Path, *command: str) -> AsyncIterator[None]:
        lines = (self.stack.config.state_dir / ENV_FILE).read_text().splitlines()
        pairs = (line.partition("=") for line in lines)
        told = {name: json.loads(value) for name, _, value in pairs}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            cwd=sources,
            env=os.environ | told | ONE_MERCHANT | {"PAYSAGA_BUILD_ID": build},
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


def _caches(_: str, names: list[str]) -> set[str]:
    return {name for name in names if name == "__pycache__"}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


async def created(shop: Shop, url: str) -> Order:
    """An order that was placed at the API of another build."""
    order = shop.order("alipay")
    async with httpx.AsyncClient(base_url=url, headers=shop.api.headers, trust_env=False) as http:

        async def made() -> None:
            answer = await http.post("/v1/payments", json=order.body)
            assert answer.is_success, answer.text
            assert answer.json()["checkout"], answer.text

        await eventually(made)
    return order


@pytest.fixture
async def builds(tmp_path: Path) -> AsyncIterator[Builds]:
    variables = ONE_MERCHANT | {"PAYSAGA_BUILD_ID": "one"}
    config = StackConfig(tmp_path / "state", sandbox_time_scale=40, variables=variables)
    async with Stack(config) as stack:
        builds = Builds(stack, tmp_path, await stack.temporal_client())

        async def begun() -> None:
            found = await read_builds(builds.client)
            assert [(each.id, each.current, each.polled) for each in found] == [("one", True, True)]

        # The first build of a deployment begins its workflows without anybody's help.
        await eventually(begun)
        yield builds


@pytest.fixture
async def shop(builds: Builds) -> AsyncIterator[Shop]:
    async with open_shop(builds.stack) as shop:
        yield shop


async def test_each_payment_ends_with_the_build_that_began_it_forward_and_back(
    builds: Builds, shop: Shop
) -> None:
    before = shop.order("alipay")
    await before.create()
    changed = builds.sources("two", changed=True)
    async with builds.worker("two", changed):
        await promote(builds.client, "two")
        async with builds.api("two", changed) as url:
            during, after = await created(shop, url), await created(shop, url)
        for order in (before, during):
            await order.pay()
            await order.shows(status="succeeded")
        # Its refund is a workflow that the new build begins, though the payment was the old one's.
        await before.refund(400)
        await before.told("payment.succeeded", "refund.succeeded")

        await promote(builds.client, "one")
        await after.pay()
        await after.shows(status="succeeded")

    assert [await builds.of(each) for each in (before, during, after)] == ["one", "two", "two"]
    await books_agree(shop)


async def test_what_an_api_starts_is_for_its_own_build_whichever_is_current(
    builds: Builds, shop: Shop
) -> None:
    """An older build may refuse the policy of a newer one's refund."""
    changed = builds.sources("two", changed=True)
    async with builds.worker("two", changed), builds.api("two", changed) as url:
        order = await created(shop, url)
        await order.pay()
        await order.shows(status="succeeded")
        async with httpx.AsyncClient(base_url=url, headers=shop.api.headers) as http:
            key = {"Idempotency-Key": "r1"}
            path = f"/v1/payments/{order.id}/refunds"
            assert (await http.post(path, json={"amount": 400}, headers=key)).is_success
        await order.told("payment.succeeded", "refund.succeeded")

    assert {each.id: each.current for each in await read_builds(builds.client)}["one"]
    refund = builds.client.get_workflow_handle(refund_workflow_id(order.refund_id("r1")))
    found = (await refund.describe()).raw_description.workflow_execution_info.versioning_info
    assert found.deployment_version.build_id == "two"


async def test_no_payment_is_left_where_the_build_that_began_it_is_gone(
    builds: Builds, shop: Shop
) -> None:
    same, changed = builds.sources("same", changed=False), builds.sources("bad", changed=True)
    async with builds.worker("same", same), builds.api("same", same) as url:
        movable = await created(shop, url)
    async with builds.worker("bad", changed), builds.api("bad", changed) as url:
        foreign = await created(shop, url)

    async def counted() -> None:
        held = {each.id: each.open_workflows for each in await read_builds(builds.client)}
        assert held == {"one": 0, "same": 1, "bad": 1}

    await eventually(counted)
    for order in (movable, foreign):
        await order.pay()

    moved = [each async for each in move(builds.client, "same", "one")]
    left = [each async for each in move(builds.client, "bad", "one")]
    ended = [each async for each in move(builds.client, "bad", "one", restart=True)]
    await sweep_now(builds.client)

    assert [each.outcome for each in (*moved, *left, *ended)] == [
        Outcome.MOVED,
        Outcome.LEFT,
        Outcome.TERMINATED,
    ]
    assert "Nondeterminism" in left[0].reason
    for order in (movable, foreign):
        await order.shows(status="succeeded")
        await order.told("payment.succeeded")
        assert await order.moves() == [("capture", order.amount)]
    await books_agree(shop)


async def test_a_build_that_holds_payments_and_has_no_worker_is_named(
    builds: Builds, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.order("alipay").create()
    for service in (Service.WORKER, Service.API):
        await builds.stack.stop(service)
    # Temporal lists the pollers of dead workers for a while.
    monkeypatch.setattr("engine.builds.POLLED_WITHIN", timedelta(seconds=1))
    line = ["builds", "list", "--state-dir", str(builds.stack.config.state_dir)]

    async def named() -> None:
        result = await asyncio.to_thread(CliRunner().invoke, app, line)
        assert result.exit_code == STRANDED, result.output
        assert "without a worker" in result.stderr

    await eventually(named)
