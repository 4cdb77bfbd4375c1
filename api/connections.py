"""How long a connection may hold us without asking anything: uvicorn's HTTP, with that one limit.

`limits.py` bounds a body and an answer. Before the first there is no request yet, and after the
second none any more, so only the connection itself can be timed there. Started by
`uvicorn --http api.connections:PromptProtocol`.
"""

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

# The lines before the body; also what is still sent after the answer, which nobody reads.
HEAD_SECONDS = 10.0


class PromptProtocol(H11Protocol):
    """Closes connections whose request does not begin, and those that go on after their answer."""

    _deadline: asyncio.TimerHandle | None = None
    _asked = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Wait for the first request."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take what came, and see whether it is a request by now."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """An idle connection may stay; one in the middle of a body may not."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is to be waited for any more."""
        self._stop_waiting()
        super().connection_lost(exc)

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
