"""The way to every provider: its answer has a largest size and a longest time.

A provider's server is not ours: one that is broken, or somebody in its place, must not be able to
fill our memory or to hold a step for ever.
"""

import asyncio
from collections.abc import AsyncIterator
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import httpx

# The largest genuine answer (a list of several certificates) is about 20 kB.
LARGEST_ANSWER = 256 * 1024
# No step waits longer for one call (`CALL_SLOW` in workflows/policies.py). The timeout of the
# connection bounds each read only: a byte a second would never end.
ANSWER_SECONDS = 35.0
CONNECTION_SECONDS = 5.0
# No bound on connections: the queues' slots bound the calls, and one bound for all providers would
# let a hanging one hold what the others need.
LIMITS = httpx.Limits(max_keepalive_connections=100)


class BoundedClient(httpx.AsyncClient):
    """httpx, with the two bounds; what breaks them is an httpx.HTTPError, as any lost answer."""

    def __init__(
        self,
        *,
        timeout: float = CONNECTION_SECONDS,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`timeout` in seconds holds where a call names none; `transport` is for tests."""
        # Compressed, a small answer unfolds to a thousand times its size before we can count.
        headers = {"Accept-Encoding": "identity"}
        super().__init__(timeout=timeout, transport=transport, headers=headers, limits=LIMITS)
        # Nobody signs in here, and a jar that a server may fill has no end.
        self.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    async def send(
        self,
        request: httpx.Request,
        *,
        stream: bool = False,
        auth: Any = httpx.USE_CLIENT_DEFAULT,
        follow_redirects: Any = httpx.USE_CLIENT_DEFAULT,
    ) -> httpx.Response:
        """Send, and read the whole answer unless it is to be streamed."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                response = await super().send(
                    request, stream=True, auth=auth, follow_redirects=follow_redirects
                )
                return response if stream else await _read(response)
        except TimeoutError:
            raise httpx.ReadTimeout("the whole answer took too long", request=request) from None


async def _read(response: httpx.Response) -> httpx.Response:
    try:
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding != "identity":
            raise httpx.DecodingError("encoded, which was not asked for", request=response.request)
        response.stream = _Counted(response)
        await response.aread()
    finally:
        await response.aclose()
    return response


class _Counted(httpx.AsyncByteStream):
    """The raw bytes of an answer, up to the largest."""

    def __init__(self, response: httpx.Response) -> None:
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - of an async client
        self._stream = response.stream
        self._request = response.request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._stream:
            size += len(chunk)
            if size > LARGEST_ANSWER:
                raise httpx.DecodingError("larger than any genuine answer", request=self._request)
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
