"""What a connection may cost before its sender is known: uvicorn's HTTP, with limits.

`limits.py` bounds a body and an answer. Before the first there is no request yet, and after the
second none any more, so only the connection itself can be timed there. And whatever is sent is
parsed here, whether or not it is wanted; that is why the parser is the one in C (ADR 31). Started
by `uvicorn --http api.http.connections:PromptProtocol`.
"""

import asyncio
import socket
from typing import Any
from weakref import WeakKeyDictionary

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from api.http.connection_limit import Crowd, most_connections
from api.http.peers import network_of

# The lines before the body; also what is still sent after the answer, which nobody reads.
HEAD_SECONDS = 10.0
# An answer that its client does not read is kept in memory for so long, then it is dropped.
UNREAD_SECONDS = 10.0
# Bytes that the kernel keeps of an answer; it also keeps them after the connection was closed.
SEND_BUFFER = 64 * 1024
# Bytes of the request line and the headers, and how many headers (and trailers) there are.
LARGEST_HEAD = 16 * 1024
MOST_HEADERS = 100
# The parts of a body: its chunks, or what came in one read. Small ones cost as much as large ones.
MOST_SMALL_PARTS = 500
LARGE_PART = 512
# Bytes that are still read after an answer that did not wait for the whole body. Without it the
# connection is reset, and the client may never see the answer.
MOST_AFTER_ANSWER = 1024 * 1024
# Requests that came before the first one was answered.
MOST_PIPELINED = 10
_OF_UPGRADES = (b"upgrade", b"connection", b"http2-settings")
_CROWDS: WeakKeyDictionary[ServerState, Crowd] = WeakKeyDictionary()


def _bound_kernel(transport: asyncio.Transport) -> None:
    """Bound what the kernel keeps for a client that does not read, and for how long."""
    connection = transport.get_extra_info("socket")
    if connection is None:
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux alone
        milliseconds = int(2 * UNREAD_SECONDS * 1000)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)


class Excessive(Exception):  # noqa: N818 - for the parser alone, which ends by it
    """The client has sent more than a request may have."""


class PromptProtocol(HttpToolsProtocol):
    """Hangs up on what does not begin, goes on after its answer, is not read, or is too much."""

    _crowd: Crowd
    _network = ""
    # The request that is being answered, or was last.
    _started: RequestResponseCycle | None = None
    _deadline: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    # Whether the client must send something now, rather than may.
    _begun = True
    # By the loop's clock, between two requests.
    idle_since: float | None = None
    _in_head = True
    _head = _fields = _headers = _parts = _size = _unwanted = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Wait for the first request; where connections are too many, one of them goes."""
        super().connection_made(transport)
        _bound_kernel(transport)
        self._crowd = _CROWDS.setdefault(self.server_state, Crowd())
        self._network = network_of(self.client[0]) if self.client else ""
        self._crowd.join(self._network, self)
        if len(self.connections) > most_connections():
            self._crowd.dispensable(self).hang_up()
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take what came, and see whether it is a request by now."""
        self._begun = True
        if self._in_head:
            self._head += len(data)
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as stopped:
            self._stay(data[stopped.args[0] :])
        except HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
        if self._in_head and self._head > LARGEST_HEAD and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")
        self._watch()

    @property
    def is_unfinished(self) -> bool:
        """Whether it has begun with a request, or is new, and nothing is being answered."""
        return self._begun and self._in_head and not self._answering

    def hang_up(self) -> None:
        """Abort it; a request that is under way has nobody to answer."""
        # Not only once it is lost: the next of a burst would choose this one again.
        self._crowd.leave(self._network, self)
        self._abandon()
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Answer what can't be parsed; nothing where an answer has begun."""
        is_answering = bool(self._answering)
        self._abandon()
        if is_answering:
            self.transport.close()
        else:
            super().send_400_response(msg)

    def on_message_begin(self) -> None:
        """Count anew."""
        if len(self.pipeline) >= MOST_PIPELINED:
            raise Excessive
        self._begun = self._in_head = True
        self._fields = self._headers = self._parts = self._size = self._unwanted = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request line."""
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; a trailer, after the body, is counted and dropped (RFC 9110, 6.5.1)."""
        self._headers += 1
        self._count_head(len(name) + len(value))
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin the request, unless it is to be parsed anew."""
        if not self.parser.should_upgrade():
            super().on_headers_complete()
            # Not before: the address may be none.
            self._in_head = False

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._parts += 1
        self._size += len(body)
        if self.cycle.response_complete:
            self._unwanted += len(body)
        too_small = self._parts > MOST_SMALL_PARTS + self._size // LARGE_PART
        if too_small or self._unwanted > MOST_AFTER_ANSWER:
            raise Excessive
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Expect nothing more."""
        if not self.parser.should_upgrade():
            self._begun, self._in_head, self._head = False, True, 0
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """An idle connection may stay; one in the middle of a body may not."""
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """Give the client some time to read what is written already."""
        super().pause_writing()
        # Not `close`, which waits for the client to read.
        self._unread = self.loop.call_later(UNREAD_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """It has read enough to go on."""
        super().resume_writing()
        self._stop_counting()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is to be waited for any more."""
        self._stop_waiting()
        self._stop_counting()
        self._crowd.leave(self._network, self)
        self._abandon()
        super().connection_lost(exc)

    @property
    def _answering(self) -> list[RequestResponseCycle]:
        under_way = [self._started] if self._started else []
        waiting = [cycle for cycle, _ in self.pipeline]
        return [cycle for cycle in (*under_way, *waiting) if not cycle.response_complete]

    def _abandon(self) -> None:
        # What is sent to a connection that is closed already would be an error in the log, each.
        for cycle in self._answering:
            cycle.disconnected = True
            cycle.message_event.set()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._started = cycle
        super()._start_asgi_task(cycle, app)

    def _stay(self, rest: bytes) -> None:
        """Go on in HTTP/1.1 where the client offers another protocol, as Java's client does (h2c).

        The parser has stopped at the end of the head, and would take a body for that protocol.
        """
        if self.parser.get_method() == b"CONNECT":
            self.send_400_response("There are no tunnels here.")
            return
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        lines += [b"%b: %b" % field for field in self.headers if field[0] not in _OF_UPGRADES]
        self.parser = HttpRequestParser(self)
        self._in_head, self._head = True, 0
        self.data_received(b"\r\n".join([*lines, b"", rest]))

    def _count_head(self, size: int) -> None:
        self._fields += size
        if self._fields > LARGEST_HEAD or self._headers > MOST_HEADERS:
            raise Excessive

    def _watch(self) -> None:
        is_idle = not self._begun and self.cycle.response_complete
        self.idle_since = self.loop.time() if is_idle else None
        if not self._is_owed():
            self._stop_waiting()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _is_owed(self) -> bool:
        # A body has its own time, until it is answered.
        return self._begun and (self._in_head or self.cycle.response_complete)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _stop_counting(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
