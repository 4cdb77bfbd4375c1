"""What a provider's server may cost us, whatever it sends: over a real socket."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from api import app
from api.http.metrics import Metrics
from crypto.key_ring import new_key_file
from domain.identity import new_identity_key
from engine.workers import open_activities
from providers.kit import bounded_client
from providers.kit.bounded_client import LARGEST_ANSWER, BoundedClient
from providers.registry import Registry
from settings import Settings
from storage.database import Database
from tests.webhooks.endpoint import Endpoint, listening


@pytest.fixture
async def provider() -> AsyncIterator[Endpoint]:
    async with listening() as endpoint:
        yield endpoint


@pytest.fixture
async def client() -> AsyncIterator[BoundedClient]:
    async with BoundedClient() as client:
        yield client


def ask(client: httpx.AsyncClient, provider: Endpoint) -> asyncio.Task[httpx.Response]:
    return asyncio.ensure_future(client.post(provider.url, content=b"{}"))


async def test_a_whole_answer_is_read_and_none_is_asked_for_compressed(
    client: BoundedClient, provider: Endpoint
) -> None:
    provider.says("200 OK", b"x" * LARGEST_ANSWER)
    assert len((await ask(client, provider)).content) == LARGEST_ANSWER
    assert provider.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "x"])
async def test_an_answer_that_would_have_to_be_unfolded_is_refused(
    client: BoundedClient, provider: Endpoint, coding: str
) -> None:
    """Before anything of it is: `test_bombs.py` measures that."""
    provider.says("200 OK", gzip.compress(b"{}"), f"Content-Encoding: {coding}")
    with pytest.raises(httpx.DecodingError):
        await ask(client, provider)


@pytest.mark.parametrize(
    "length", ["Content-Length: 99999999", "Transfer-Encoding: chunked", "X: 1"]
)
async def test_an_answer_without_end_is_broken_off(
    client: BoundedClient, provider: Endpoint, length: str
) -> None:
    body = b"ffff\r\n" + b"x" * 0xFFFF + b"\r\n" if "chunked" in length else b"x" * 0xFFFF
    provider.answer = f"HTTP/1.1 200 OK\r\n{length}\r\n\r\n".encode() + body * 32
    with pytest.raises(httpx.DecodingError, match="larger"):
        await ask(client, provider)


async def test_an_answer_that_drips_is_given_up(
    client: BoundedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_client, "ANSWER_SECONDS", 0.3)

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x")
            await asyncio.sleep(0.01)

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(httpx.ReadTimeout):
            await client.get(f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffffff\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 100_000,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 500_000,
        b"HTTP/1.1 200 OK\r\n\x00: \xff\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_an_answer_lost(
    client: BoundedClient, provider: Endpoint, answer: bytes
) -> None:
    provider.answer = answer
    with pytest.raises(httpx.HTTPError):
        await ask(client, provider)


@pytest.mark.parametrize(
    "place", ["http://[", "//\xff", "http://:99999999/", "http://\u2100/", "", "\x01", "a" * 9000]
)
async def test_a_redirect_to_nowhere_is_only_an_answer(
    client: BoundedClient, provider: Endpoint, place: str
) -> None:
    provider.answer = (
        b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: "
        + place.encode("utf-8")
        + b"\r\n\r\n"
    )
    try:
        assert (await ask(client, provider)).status_code == 302
    except httpx.HTTPError:
        assert len(provider.requests) == 1


async def test_no_cookie_is_kept(client: BoundedClient, provider: Endpoint) -> None:
    provider.says("200 OK", b"", *(f"Set-Cookie: c{number}=x" for number in range(50)))
    await ask(client, provider)
    assert len(client.cookies) == 0


@pytest.mark.parametrize("process", ["api", "worker"])
async def test_providers_are_asked_by_this_client_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, process: str
) -> None:
    given: list[httpx.AsyncClient] = []

    def build(*_: Any, http: httpx.AsyncClient, **__: Any) -> Registry:
        given.append(http)
        return Registry([])

    monkeypatch.setattr("providers.registry.build", build)
    monkeypatch.setattr("engine.workers.build", build)
    keys, accounts = tmp_path / "keys.toml", tmp_path / "accounts.toml"
    keys.write_text(new_key_file())
    accounts.write_text("")
    identity = tmp_path / "identity-key"
    identity.write_text(new_identity_key())
    url = "postgresql+asyncpg://nobody@127.0.0.1:1/none"
    settings = Settings(
        database_url=SecretStr(url),
        public_url="https://pay.test",
        accounts_file=accounts,
        payload_keys_file=keys,
        identity_key_file=identity,
    )
    async with AsyncExitStack() as stack:
        if process == "api":
            await app._open(settings, Metrics(), stack)  # noqa: SLF001 - the root itself is meant
        else:
            await stack.enter_async_context(open_activities(settings, Database(url)))
    assert {type(http) for http in given} == {BoundedClient}
