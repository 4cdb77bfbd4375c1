"""The sandbox in this process, and one stand per provider and kind of account."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from domain.payment import Channel
from providers import registry
from sandbox.app import create_app
from tests.providers.harness import Harness, account_of
from tests.providers.stand import Clock, Inbox, Stand, Time, now

HARNESSES: tuple[Harness, ...] = tuple(
    import_module(f"tests.providers.{name}.harness").HARNESS for name in registry.PROVIDERS
)
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
        sandbox = Sandbox(app, manifest, inbox)
        async with sandbox.client() as control:
            for path, url in _notify_urls().items():
                (await control.post(path, json={"notification_url": url})).raise_for_status()
        yield sandbox


def _notify_urls() -> dict[str, str]:
    urls = [harness.notify_urls(PUBLIC_URL) for harness in HARNESSES]
    return {path: url for told in urls for path, url in told.items()}


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
        account = account_of(sandbox.manifest, harness.name, mode) | changes
        time = Time(clock)
        built = registry.build(
            {harness.name: [account]}, http=http or control, clock=time, public_url=PUBLIC_URL
        )
        return Stand(harness, built.get(harness.name, mode), control, sandbox.inbox, time)

    yield make
    sandbox.inbox.answer = None
    await control.post("/_sandbox/reset")
    await control.aclose()


Case = tuple[Harness, str]
CASES: list[Case] = [(harness, mode) for harness in HARNESSES for mode in harness.modes]


def _cases(wanted: Callable[[Harness], bool]) -> list[Any]:
    """The cases whose provider has, by its own rules, what a test is about."""
    return [
        pytest.param((harness, mode), id=f"{harness.name}-{mode}")
        for harness, mode in CASES
        if wanted(harness)
    ]


def _refunds(harness: Harness) -> bool:
    return harness.channels[harness.channel].refundable


@pytest.fixture(params=_cases(lambda _: True))
def case(request: pytest.FixtureRequest) -> Case:
    """A provider and a kind of account."""
    found: Case = request.param
    return found


@pytest.fixture
def stand(case: Case, make_stand: Make) -> Stand:
    """The provider under the contract."""
    return make_stand(*case)


@pytest.fixture(params=_cases(lambda harness: not harness.channels[harness.channel].local))
def ordering(request: pytest.FixtureRequest, make_stand: Make) -> Stand:
    """A provider that is told of an order when it is made."""
    return make_stand(*request.param)


@pytest.fixture(params=_cases(lambda harness: Channel.BARCODE in harness.channels))
def till(request: pytest.FixtureRequest, make_stand: Make) -> Stand:
    """A provider that charges the code on a payer's screen."""
    return make_stand(*request.param)


@pytest.fixture(params=_cases(_refunds))
def refunding(request: pytest.FixtureRequest, make_stand: Make) -> Stand:
    """A provider that gives money back when we say so."""
    return make_stand(*request.param)


@pytest.fixture(params=_cases(lambda harness: not _refunds(harness)))
def keeping(request: pytest.FixtureRequest, make_stand: Make) -> Stand:
    """A provider that gives money back only by itself."""
    return make_stand(*request.param)
