"""Reads a request's body, up to its route's limit and to what all of them may hold together."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope

from api.problems import Refusal

# A body of 64 KiB that takes longer is a slow-loris, not a merchant.
BODY_SECONDS = 10.0
# Providers send within milliseconds; who has no credential may hold less of us.
VISITORS_BODY_SECONDS = 2.0
# Of all unfinished and unanswered requests of a process together, in bytes.
MERCHANTS_BODIES = 64 * 1024 * 1024
VISITORS_BODIES = 4 * 1024 * 1024
NOTIFICATION_BODIES = 8 * 1024 * 1024
# Of one address: a few of them cannot fill what is there for all.
PEER_BODIES = 1024 * 1024


class Bodies:
    """The bodies that a process holds: at most `most` bytes, `share` of them of one peer."""

    def __init__(self, most: int, share: int | None = None) -> None:
        self._left = most
        self._share = most if share is None else share
        self._held: Counter[str] = Counter()

    @asynccontextmanager
    async def body(
        self, scope: Scope, receive: Receive, *, largest: int, seconds: float, peer: str = ""
    ) -> AsyncIterator[bytes]:
        """Read the whole body, and count it as held inside, for the peer as well.

        Raises:
            Refusal: it is too large, too slow or broken off, or all bodies together are too many.
        """
        if _declared(scope) > largest:
            raise _too_large(largest)
        taken = 0
        body = bytearray()
        try:
            try:
                async with asyncio.timeout(seconds):
                    more = True
                    while more:
                        part, more = await _next(receive)
                        if len(body) + len(part) > largest:
                            raise _too_large(largest)
                        self._take(peer, len(part))
                        taken += len(part)
                        body += part
            except TimeoutError:
                raise _incomplete("The body did not arrive in time.") from None
            yield bytes(body)
        finally:
            self._left += taken
            self._held[peer] -= taken
            if not self._held[peer]:
                del self._held[peer]

    def _take(self, peer: str, size: int) -> None:
        if size > self._left or self._held[peer] + size > self._share:
            raise Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "overloaded",
                "Too many large requests at the same time. Send this one again in a second.",
                retryable=True,
                headers={"Retry-After": "1"},
            )
        self._left -= size
        self._held[peer] += size


def replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body first."""
    waiting = [body]

    async def again() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return again


async def _next(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise _incomplete("The body ended early.")
    return message.get("body", b""), message.get("more_body", False)


def _declared(scope: Scope) -> int:
    # What is no number (or has thousands of digits) is left to the count of what arrives.
    try:
        return int(Headers(scope=scope).get("content-length", "0"))
    except ValueError:
        return 0


def _too_large(largest: int) -> Refusal:
    return Refusal(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "body_too_large",
        f"The body may have at most {largest} bytes.",
    )


def _incomplete(detail: str) -> Refusal:
    return Refusal(HTTPStatus.REQUEST_TIMEOUT, "body_incomplete", detail, retryable=True)
