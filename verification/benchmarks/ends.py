"""Where the ends arrive: the merchant's endpoint, and the floor's datagrams.

A merchant's whole web server would cost more than what is measured, so this one only counts:
it reads a POST, notes the time, and answers 200.
"""

import asyncio
import json
import time
from types import TracebackType
from typing import Self

_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
HOST = "127.0.0.1"


class Ends(asyncio.DatagramProtocol):
    """Knows when each payment's event was delivered, by payment id."""

    def __init__(self) -> None:
        self._delivered: dict[str, asyncio.Future[float]] = {}
        self._server: asyncio.Server | None = None
        self._datagrams: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self._datagrams, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: self, local_addr=(HOST, 0)
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
        if self._datagrams is not None:
            self._datagrams.close()

    @property
    def webhook_url(self) -> str:
        """The merchant's endpoint."""
        if self._server is None:
            raise RuntimeError("not listening yet")
        return f"http://{HOST}:{self._server.sockets[0].getsockname()[1]}/webhooks"

    @property
    def port(self) -> int:
        """Where the floor's datagrams go."""
        if self._datagrams is None:
            raise RuntimeError("not listening yet")
        return int(self._datagrams.get_extra_info("sockname")[1])

    async def delivered(self, payment: str, within: float = 60) -> float:
        """When the end arrived, by `time.perf_counter`. TimeoutError."""
        try:
            return await asyncio.wait_for(self._future(payment), within)
        finally:
            self._delivered.pop(payment, None)

    def datagram_received(self, data: bytes, _addr: object) -> None:
        """The floor's end."""
        self._deliver(data.decode())

    def _future(self, payment: str) -> asyncio.Future[float]:
        return self._delivered.setdefault(payment, asyncio.get_running_loop().create_future())

    def _deliver(self, payment: str) -> None:
        future = self._future(payment)
        if not future.done():
            future.set_result(time.perf_counter())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
                body = json.loads(await reader.readexactly(length))
                writer.write(_ANSWER)
                self._deliver(str(body["data"]["id"]))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
