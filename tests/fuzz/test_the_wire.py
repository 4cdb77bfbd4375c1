"""The API behind its real web server, and clients that do not mean well."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn

from api.http import bodies, connections
from api.http.connections import PromptProtocol
from api.http.route_classes import LARGEST_BODY
from tests.api.house import House

HEAD = b"POST /v1/payments HTTP/1.1\r\nHost: paysaga.test\r\n"
NOTIFY = b"POST /notify/alipay/main HTTP/1.1\r\nHost: paysaga.test\r\n"
SOON = 0.4


class Line:
    """One connection to the API."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def says(self, *parts: bytes) -> bytes:
        """Everything that comes back until the other side hangs up."""
        try:
            for part in parts:
                self.writer.write(part)
                await self.writer.drain()
            return await self.ends()
        except ConnectionError:
            return b""

    async def ends(self) -> bytes:
        async with asyncio.timeout(15):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    async def status(self) -> int:
        async with asyncio.timeout(15):
            return int((await self.reader.readline()).split()[1])


@pytest.fixture(scope="session")
async def port(house: House) -> AsyncIterator[int]:
    """uvicorn as cli/embedded/ and the image start it, on a port of its own."""
    config = uvicorn.Config(
        house.app, http=PromptProtocol, log_level="critical", lifespan="off", timeout_keep_alive=2
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve([listener]))
        yield listener.getsockname()[1]
        server.should_exit = True
        await serving


@asynccontextmanager
async def line(port: int) -> AsyncIterator[Line]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Line(reader, writer)
    finally:
        writer.close()


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", SOON)
    monkeypatch.setattr(bodies, "VISITORS_BODY_SECONDS", SOON)


@pytest.mark.parametrize("begun", [b"", b"P", HEAD, HEAD + b"X-Slow: "])
async def test_a_request_that_never_begins_is_hung_up_on(
    port: int, hurry: None, begun: bytes
) -> None:
    async with line(port) as client:
        assert await client.says(begun) == b""


async def test_a_head_that_drips_is_hung_up_on(port: int, hurry: None) -> None:
    async with line(port) as client:

        async def drip() -> None:
            while not client.reader.at_eof():
                client.writer.write(b"X-Slow: 1\r\n")
                await asyncio.sleep(SOON / 8)

        client.writer.write(HEAD)
        dripping = asyncio.create_task(drip())
        assert await client.ends() == b""
        dripping.cancel()


@pytest.mark.parametrize(
    "begun", [b"Content-Length: 100\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"]
)
async def test_a_body_that_never_ends_is_answered_and_hung_up_on(
    port: int, hurry: None, begun: bytes
) -> None:
    async with line(port) as client:
        answer = await client.says(NOTIFY + begun)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"body_incomplete" in answer


async def test_a_body_that_goes_on_after_the_answer_is_hung_up_on(port: int, hurry: None) -> None:
    """Each byte of it would put off the server's own timeout for idle connections."""
    async with line(port) as client:
        client.writer.write(NOTIFY + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(5):
            client.writer.write(b"8000\r\n" + b"x" * 0x8000 + b"\r\n")
        assert await client.status() == 413

        async def go_on() -> None:
            while not client.reader.at_eof():
                client.writer.write(b"1\r\nx\r\n")
                await asyncio.sleep(SOON / 8)

        going_on = asyncio.create_task(go_on())
        await client.ends()
        going_on.cancel()


async def test_an_idle_connection_stays_open_for_the_next_request(port: int, hurry: None) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: paysaga.test\r\n\r\n"
    async with line(port) as client:
        for pause in (SOON * 2, 0):
            client.writer.write(request)
            assert await client.status() == 200
            await client.reader.readuntil(b"}")
            await asyncio.sleep(pause)


@pytest.mark.parametrize(
    "request_",
    [
        b"\x00" * 100,
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: +1\r\n\r\n",
        HEAD + b"Content-Length: 1_0\r\n\r\n",
        HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
        HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 30 + b"\r\n",
        HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        HEAD + b"X: \x00\r\n\r\n",
        HEAD + b"X: y\r\n" * 10_000,
        HEAD + b"X: " + b"y" * 200_000,
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n",
    ],
)
async def test_what_is_no_http_is_a_clients_mistake(
    port: int, hurry: None, request_: bytes
) -> None:
    async with line(port) as client:
        answer = await client.says(request_)
        assert answer == b"" or 400 <= int(answer.split()[1]) < 502
        assert b" 500 " not in answer[:20]


async def test_a_body_of_64_kib_and_a_byte_is_refused_by_its_length(port: int, hurry: None) -> None:
    async with line(port) as client:
        client.writer.write(NOTIFY + b"Content-Length: 65537\r\n\r\n")
        assert await client.status() == 413


@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"br"])
async def test_what_is_sent_to_us_compressed_is_never_unfolded(port: int, coding: bytes) -> None:
    bomb = gzip.compress(bytes(32 * 1024 * 1024))
    assert len(bomb) < LARGEST_BODY
    head = NOTIFY + b"Connection: close\r\nContent-Encoding: " + coding
    async with line(port) as client:
        answer = await client.says(head + b"\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb)
        assert answer.startswith(b"HTTP/1.1 400 ")
