"""What a connection may cost before anyone asks who is there: uvicorn's HTTP, with limits.

`limits.py` bounds a body and an answer. Before the first there is no request yet, and after the
second none any more, so only the connection itself can be timed there. And whatever is sent is
parsed here, whether or not it is wanted. Started by
`uvicorn --http api.connections:PromptProtocol`.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

# The lines before the body; also what is still sent after the answer, which nobody reads.
HEAD_SECONDS = 10.0
# An answer that its client does not read is kept in memory for so long, then it is dropped.
UNREAD_SECONDS = 10.0
# The parts of a body: its chunks, or what came in one read. Each costs the event loop some 15 µs,
# however small it is, so small ones must be few.
MOST_SMALL_PARTS = 500
LARGE_PART = 512
# Bytes that are still read after an answer that did not wait for the whole body. Without it the
# connection is reset, and the client may never see the answer.
MOST_AFTER_ANSWER = 1024 * 1024


class BoundedConnection(h11.Connection):
    """A server's side of HTTP/1.1 that stops to parse a body of too many parts, or unwanted."""

    excessive = False
    _parts = _size = _unwanted = 0

    def next_event(self) -> Any:
        """Return as h11 does; NEED_DATA from then on where the client has sent too much."""
        if self.excessive:
            return h11.NEED_DATA
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._parts = self._size = self._unwanted = 0
        elif isinstance(event, h11.Data):
            self._count(len(event.data))
            if self.excessive:
                return h11.NEED_DATA
        return event

    def _count(self, size: int) -> None:
        self._parts += 1
        self._size += size
        if self.our_state is h11.DONE:
            self._unwanted += size
        too_small = self._parts > MOST_SMALL_PARTS + self._size // LARGE_PART
        self.excessive = too_small or self._unwanted > MOST_AFTER_ANSWER


class PromptProtocol(H11Protocol):
    """Closes connections that do not begin, that go on after the answer, or that send crumbs."""

    conn: BoundedConnection
    _deadline: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _asked = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.conn = BoundedConnection(h11.SERVER)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Wait for the first request."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take what came, and see whether it is a request by now."""
        super().data_received(data)
        if self.conn.excessive and not self.transport.is_closing():
            self._hang_up()
        self._watch()

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
        super().connection_lost(exc)

    def _hang_up(self) -> None:
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.send_400_response("The body has too many small parts.")
        else:
            self.transport.close()

    def _watch(self) -> None:
        if not self._is_owed():
            self._stop_waiting()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _is_owed(self) -> bool:
        """Whether the client must send something now, rather than may."""
        if self.conn.their_state is h11.IDLE:
            return not self._asked or bool(self.conn.trailing_data[0])
        self._asked = True
        return self.conn.their_state is h11.SEND_BODY and self.conn.our_state is h11.DONE

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _stop_counting(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
