"""The way to merchants' endpoints: of an answer only so many bytes are read, whatever they are.

An endpoint is a stranger's program. Interim answers (`103 Early Hints`) without end, or a body in
chunks of one byte, cost the event loop much more than they cost the endpoint, and never reach the
code that counts a body's bytes.
"""

import ssl
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx

# Status line, headers, interim answers, body and its framing of one answer.
MOST_BYTES = 24 * 1024
# Others have their turn after each read.
_AT_ONCE = 4 * 1024


def webhook_client(**options: Any) -> httpx.AsyncClient:
    """Return a client for WebhookSender alone; `options` are the transport's.

    Variables of the environment do not count: a proxy would resolve the merchant's name anew, past
    the address that was checked.
    """
    transport = BoundedTransport(trust_env=False, **options)
    return httpx.AsyncClient(transport=transport, trust_env=False)


class BoundedTransport(httpx.AsyncHTTPTransport):
    """httpx's own transport; `httpcore.ReadError` where an answer is larger on the wire."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # httpx has no option for it; a test says whether this one still works.
        backend = self._pool._network_backend  # noqa: SLF001
        self._pool._network_backend = _BoundedBackend(backend)  # noqa: SLF001


class _BoundedBackend(httpcore.AsyncNetworkBackend):
    def __init__(self, backend: httpcore.AsyncNetworkBackend) -> None:
        self._backend = backend

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - as httpcore has it
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        stream = await self._backend.connect_tcp(host, port, timeout, local_address, socket_options)
        return _BoundedStream(stream)


class _BoundedStream(httpcore.AsyncNetworkStream):
    """Counts what is read since the last write: an answer."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._read = 0

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        data = await self._stream.read(min(max_bytes, _AT_ONCE), timeout)
        self._read += len(data)
        if self._read > MOST_BYTES:
            raise httpcore.ReadError("the answer is too large")
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        self._read = 0
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        stream = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        return _BoundedStream(stream)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
