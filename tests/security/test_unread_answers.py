"""Answers that a client asks for and does not read never pile up in memory."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from api.http import connections
from api.http.connections import PromptProtocol

LARGE = b"x" * (8 * 1024 * 1024)
REQUEST = b"GET / HTTP/1.1\r\nHost: paysaga.test\r\n\r\n"
UNREAD_SECONDS = 0.5


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers each request with more than a socket's buffers hold."""
    headers = [(b"content-length", str(len(LARGE)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": LARGE})


@asynccontextmanager
async def asked() -> AsyncIterator[tuple[uvicorn.Server, asyncio.StreamReader]]:
    """A server that was asked once, and what its client may read."""
    config = uvicorn.Config(application, http=PromptProtocol, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve([listener]))
        # A small limit: what is not asked for stays in the socket.
        reader, writer = await asyncio.open_connection(*listener.getsockname(), limit=1024)
        try:
            writer.write(REQUEST)
            await reader.readuntil(b"\r\n\r\n")
            yield server, reader
        finally:
            writer.close()
            server.should_exit = True
            await serving


async def test_a_client_that_does_not_read_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "UNREAD_SECONDS", UNREAD_SECONDS)
    async with asked() as (server, _):
        assert server.server_state.connections
        async with asyncio.timeout(10):
            while server.server_state.connections:  # noqa: ASYNC110 - uvicorn has no event
                await asyncio.sleep(0.05)


async def test_a_client_that_reads_slowly_gets_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "UNREAD_SECONDS", UNREAD_SECONDS * 10)
    async with asked() as (_, reader), asyncio.timeout(60):
        assert await reader.readexactly(len(LARGE)) == LARGE
