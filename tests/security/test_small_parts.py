"""Requests in crumbs, or that nobody wants, never hold up the requests of others."""

import asyncio
import logging
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from api.http import connection_limit
from api.http.connection_limit import Crowd
from api.http.connections import (
    LARGEST_HEAD,
    MOST_AFTER_ANSWER,
    MOST_HEADERS,
    MOST_PIPELINED,
    MOST_SMALL_PARTS,
    PromptProtocol,
)

HEAD = b"POST / HTTP/1.1\r\nHost: paysaga.test\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
CRUMB, WHOLE, END = b"1\r\nA\r\n", b"400\r\n" + b"A" * 1024 + b"\r\n", b"0\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: paysaga.test\r\n\r\n"


class Application:
    """Reads each body, and answers with its size; `/refuse` answers before the body."""

    def __init__(self) -> None:
        self.parts = 0
        self.headers: list[bytes] = []
        self.requests = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.requests += 1
        size, more = 0, scope["path"] != "/refuse"
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            self.parts += 1
            size += len(message["body"])
            more = message["more_body"]
        await self.may_answer.wait()
        self.headers += [name for name, _ in scope["headers"]]
        body = str(size).encode()
        length = str(len(body)).encode()
        headers = [(b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def served(
    protocol: type[PromptProtocol] = PromptProtocol,
) -> AsyncIterator[tuple[Application, tuple[str, int]]]:
    """The application behind the product's own protocol."""
    application = Application()
    config = uvicorn.Config(application, http=protocol, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve([listener]))
        try:
            yield application, listener.getsockname()
        finally:
            server.should_exit = True
            await serving


async def sent(address: tuple[str, int], *parts: bytes) -> bytes:
    """What comes back until the server hangs up."""
    reader, writer = await asyncio.open_connection(*address)
    async with asyncio.timeout(20):
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()


@pytest.mark.parametrize(
    "request_",
    [
        CHUNKED + CRUMB * 65_000 + END,
        HEAD + b"X: y\r\n" * (MOST_HEADERS + 1) + b"\r\n",
        HEAD + b"X: " + b"y" * (LARGEST_HEAD + 1) + b"\r\n\r\n",
        b"GET /" + b"a" * (LARGEST_HEAD + 1) + b" HTTP/1.1\r\n\r\n",
        CHUNKED + b"0\r\n" + b"X: y\r\n" * (MOST_HEADERS + 1) + b"\r\n",
    ],
    ids=["chunks", "headers", "a long header", "a long path", "trailers"],
)
async def test_a_request_in_crumbs_is_never_read_to_its_end(request_: bytes) -> None:
    async with served() as (application, address):
        answer = await sent(address, request_)

    assert not answer or answer.startswith(b"HTTP/1.1 400 ")
    assert application.parts <= MOST_SMALL_PARTS + 1


@pytest.mark.parametrize("begun", [b"GET /" + b"a" * 100_000, HEAD + b"X: " + b"y" * 100_000])
async def test_a_head_without_end_is_not_kept(begun: bytes) -> None:
    async with served() as (application, address):
        answer = await sent(address, begun, begun)

    assert not answer or answer.startswith(b"HTTP/1.1 400 ")
    assert application.requests == 0


async def test_requests_that_wait_for_the_first_ones_answer_are_few() -> None:
    async with served() as (application, address):
        await sent(address, GET * 5000)

    assert application.requests <= MOST_PIPELINED + 1


async def test_what_comes_after_the_answer_is_read_to_a_bound() -> None:
    head = HEAD.replace(b"/", b"/refuse", 1)
    size = f"Content-Length: {100 * MOST_AFTER_ANSWER}\r\n\r\n".encode()
    async with served() as (_, address):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(head + size)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        taken = 0
        async with asyncio.timeout(20):
            try:
                while taken < 50 * MOST_AFTER_ANSWER:
                    writer.write(b"A" * 65_536)
                    await writer.drain()
                    taken += 65_536
            except ConnectionError:
                pass
        writer.close()

    # What the sockets' buffers hold on both sides comes on top.
    assert taken < 20 * MOST_AFTER_ANSWER


async def test_ordinary_requests_are_answered_one_after_the_other() -> None:
    """On one connection: large and small bodies in chunks, one with a length, and none."""
    last = HEAD + b"Connection: close\r\nContent-Length: 3\r\n\r\nabc"
    requests = [
        CHUNKED + WHOLE * 2_000 + END,
        CHUNKED + CRUMB * (MOST_SMALL_PARTS - 1) + END,
        GET,
        HEAD + b"X: y\r\n" * (MOST_HEADERS - 1) + b"\r\n",
        last,
    ]
    async with served() as (application, address):
        reader, writer = await asyncio.open_connection(*address)
        sizes = []
        for request in requests:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            sizes.append(int(await reader.readexactly(length)))
        assert await reader.read() == b""
        writer.close()

    assert sizes == [2_000 * 1024, MOST_SMALL_PARTS - 1, 0, 0, 3]
    assert application.requests == len(requests)


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c"])
async def test_who_offers_another_protocol_is_answered_in_this_one(protocol: bytes) -> None:
    offers = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: " + protocol + b"\r\n"
    last = HEAD + b"Connection: close\r\nContent-Length: 5\r\n\r\nabcde"
    async with served() as (application, address):
        answers = await sent(
            address,
            GET[:-2] + offers + b"\r\n",
            HEAD + offers + b"Content-Length: 3\r\n\r\nabc",
            CHUNKED[:-2] + offers + b"\r\n" + WHOLE + END,
            last,
        )

    bodies = [part.split(b"HTTP/1.1")[0] for part in answers.split(b"\r\n\r\n")[1:]]
    assert bodies == [b"0", b"3", b"1024", b"5"]
    assert application.requests == len(bodies)


async def test_a_trailer_is_never_a_header() -> None:
    """A proxy that sets or strips a header has not looked at what comes after the body."""
    sized = CHUNKED + b"3\r\nabc\r\n0\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n"
    async with served() as (application, address):
        answer = await sent(address, sized, GET[:-2] + b"Connection: close\r\n\r\n")

    assert answer.count(b"HTTP/1.1 200 ") == 2
    assert b"x-forwarded-for" not in application.headers


@pytest.mark.parametrize("target", [b"http:///x", b"http://a:99999/x", b"http://[::1/x"])
async def test_an_address_that_is_none_is_never_an_error_in_the_log(
    caplog: pytest.LogCaptureFixture, target: bytes
) -> None:
    async with served() as (_, address):
        answer = await sent(address, b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")

    assert not answer or answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 200 "))
    assert [r for r in caplog.records if r.levelname in {"ERROR", "CRITICAL"}] == []


async def test_there_are_no_tunnels() -> None:
    async with served() as (application, address):
        answer = await sent(address, b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert application.requests == 0


async def test_idle_connections_never_shut_others_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limit, "RESERVED_DESCRIPTORS", 20)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (40, 40))
    async with served() as (_, address), AsyncExitStack() as held:
        idle = []
        for _ in range(60):
            reader, writer = await asyncio.open_connection(*address)
            held.callback(writer.close)
            writer.write(GET)
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
            idle.append(reader)

        over = [await _is_over(reader) for reader in idle]
    assert over == [True] * 40 + [False] * 20


async def _is_over(reader: asyncio.StreamReader) -> bool:
    """Whether the server has hung up; what it said before is read away."""
    try:
        async with asyncio.timeout(0.05):
            await reader.read()
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


async def test_begun_requests_never_shut_others_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limit, "RESERVED_DESCRIPTORS", 5)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (10, 10))
    async with served() as (_, address), AsyncExitStack() as held:
        begun = []
        for _ in range(8):
            reader, writer = await asyncio.open_connection(*address)
            held.callback(writer.close)
            writer.write(b"G")
            await writer.drain()
            begun.append(reader)
        over = [await _is_over(reader) for reader in begun]
    assert over == [True] * 3 + [False] * 5


async def test_a_burst_of_connections_never_takes_more_than_there_may_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection_limit, "RESERVED_DESCRIPTORS", 5)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (10, 10))
    async with served() as (_, address), AsyncExitStack() as held:
        opened = await asyncio.gather(*(asyncio.open_connection(*address) for _ in range(30)))
        for _, writer in opened:
            held.callback(writer.close)
        over = [await _is_over(reader) for reader, _ in opened]
    assert over.count(False) == 5


class Connection:
    """What a crowd looks at."""

    def __init__(self, *, is_unfinished: bool = False, idle_since: float | None = None) -> None:
        self.is_unfinished = is_unfinished
        self.idle_since = idle_since

    def hang_up(self) -> None:
        """Nothing is open."""


def test_an_address_with_many_connections_never_costs_another_its_own() -> None:
    crowd = Crowd()
    quiet = Connection(idle_since=1.0)
    crowd.join("203.0.113.9", quiet)
    flood = [Connection(idle_since=2.0 + number) for number in range(3)]
    begun, newest = Connection(is_unfinished=True), Connection(is_unfinished=True)
    for each in [*flood, begun, newest]:
        crowd.join("198.51.100.7", each)

    went: list[Any] = []
    for _ in range(4):
        went.append(crowd.dispensable(newest))
        crowd.leave("198.51.100.7", went[-1])

    assert went == [begun, *flood]


class Transport:
    """As uvloop's: to write to one that is closed is an error."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if self._transport.is_closing():
            raise RuntimeError("closed")
        self._transport.write(data)


class Closed(PromptProtocol):
    """Over such a transport."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(Transport(transport))  # type: ignore[arg-type]


def test_where_all_of_the_greatest_are_answered_its_oldest_goes() -> None:
    crowd = Crowd()
    flood, newest = [Connection(), Connection()], Connection(is_unfinished=True)
    for each in flood:
        crowd.join("198.51.100.7", each)
    crowd.join("203.0.113.9", newest)

    went: Any = crowd.dispensable(newest)

    assert went is flood[0]


async def test_requests_that_are_abandoned_never_fill_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with served(Closed) as (application, address):
        application.may_answer.clear()
        await sent(address, GET * (MOST_PIPELINED + 2))
        application.may_answer.set()
        assert (await sent(address, GET[:-2] + b"Connection: close\r\n\r\n")).endswith(b"0")

    assert application.requests == 2
    said = [r for r in caplog.records if r.name == "uvicorn.error" and r.levelno > logging.INFO]
    assert [record.getMessage() for record in said] == []
