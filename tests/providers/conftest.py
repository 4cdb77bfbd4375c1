"""The sandbox in this process, and one stand per provider and kind of account."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from providers import registry
from sandbox.app import create_app
from tests.providers.alipay.harness import AlipayHarness
from tests.providers.harness import Harness
from tests.providers.stand import Clock, Inbox, Stand, Time, now
from tests.providers.unionpay.harness import UnionpayHarness
from tests.providers.wechatpay.harness import WechatpayHarness

HARNESSES: tuple[Harness, ...] = (AlipayHarness(), WechatpayHarness(), UnionpayHarness())
ORIGIN = "http://sandbox.test"
PUBLIC_URL = "http://paysaga.test"


@dataclass(frozen=True)
class Sandbox:
    """The running sandbox: its app, manifest and what it sent to us."""

    app: FastAPI
    manifest: dict[str, Any]
    inbox: Inbox

    def client(self) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=self.app)
        return httpx.AsyncClient(transport=transport, base_url=ORIGIN)


@pytest_asyncio.fixture(scope="session")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    folder: Path = tmp_path_factory.mktemp("sandbox")
    inbox = Inbox()
    app = create_app(folder, ORIGIN, transport=httpx.MockTransport(inbox.receive))
    manifest = json.loads((folder / "sandbox.json").read_text())
    async with app.router.lifespan_context(app):
        yield Sandbox(app, manifest, inbox)


class Line(httpx.AsyncBaseTransport):
    """The way to the sandbox; once `breaks_with` is set, every request ends so."""

    def __init__(self, app: FastAPI) -> None:
        self._inner = httpx.ASGITransport(app=app)
        self.breaks_with: httpx.HTTPError | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.breaks_with is not None:
            raise self.breaks_with
        return await self._inner.handle_async_request(request)


@pytest.fixture
def line(sandbox: Sandbox) -> Line:
    return Line(sandbox.app)


@pytest.fixture
def sandbox_manifest(sandbox: Sandbox) -> dict[str, Any]:
    return sandbox.manifest


Make = Callable[..., Stand]


@pytest_asyncio.fixture
async def make_stand(sandbox: Sandbox) -> AsyncIterator[Make]:
    """Makes a stand; `changes` go over the account, `http` replaces the way to the sandbox."""
    control = sandbox.client()

    def make(
        harness: Harness,
        mode: str,
        *,
        http: httpx.AsyncClient | None = None,
        clock: Clock = now,
        **changes: Any,
    ) -> Stand:
        account = harness.account(sandbox.manifest, mode) | changes
        time = Time(clock)
        built = registry.build(
            {harness.name: [account]}, http=http or control, clock=time, public_url=PUBLIC_URL
        )
        return Stand(harness, built.get(harness.name, mode), control, sandbox.inbox, time)

    yield make
    sandbox.inbox.answer = None
    await control.post("/_sandbox/reset")
    await control.aclose()


CASES = [(harness, mode) for harness in HARNESSES for mode in harness.modes]


@pytest.fixture(params=CASES, ids=[f"{harness.name}-{mode}" for harness, mode in CASES])
def case(request: pytest.FixtureRequest) -> tuple[Harness, str]:
    """A provider and a kind of account."""
    found: tuple[Harness, str] = request.param
    return found


@pytest.fixture
def stand(case: tuple[Harness, str], make_stand: Make) -> Stand:
    """The provider under the contract."""
    return make_stand(*case)
