"""Reads a request's body, up to its route's limit and to what all of them may hold together."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope

from api.http.problems import ApiProblem

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
# What a request costs besides its body while it is read; with it their number is bounded as well.
REQUEST_BYTES = 16 * 1024


@dataclass(eq=False)
class Body:
    """One request's body and what is counted for it, in bytes."""

    sender: str
    deadline: asyncio.Timeout
    content: bytearray = field(default_factory=bytearray)
    counted: int = 0
    is_whole: bool = False


class Bodies:
    """The bodies that a process holds: at most `most` bytes, `share` of them of one sender.

    Where they are too many, one that is still being read is ended: the oldest of the sender with
    the most bytes. A genuine body is whole within milliseconds, so that it never is that one
    for long. Whole bodies that are not answered yet come next.
    """

    def __init__(self, most: int, share: int | None = None) -> None:
        self._left = most
        self._share = most if share is None else share
        self._held: Counter[str] = Counter()
        # In the order in which they began.
        self._unanswered: dict[Body, None] = {}

    @asynccontextmanager
    async def body(
        self, scope: Scope, receive: Receive, *, largest: int, seconds: float, sender: str
    ) -> AsyncIterator[Body]:
        """Read the whole body, and count it as held inside; until `answer` it may be ended.

        Raises:
            ApiProblem: too large, too slow or broken off, or all bodies together are too many.
        """
        if _declared(scope) > largest:
            raise _too_large(largest)
        body = Body(sender, asyncio.timeout(None))
        try:
            async with body.deadline:
                self._unanswered[body] = None
                self._count(body, REQUEST_BYTES)
                await self._read(body, receive, largest, seconds)
                yield body
        except TimeoutError:
            if body.deadline.expired():
                raise _overloaded() from None
            raise
        finally:
            self._drop(body)

    def answer(self, body: Body) -> bytes:
        """Return the content of a whole body, which is not ended any more. ApiProblem."""
        if body not in self._unanswered:
            raise _overloaded()
        del self._unanswered[body]
        return bytes(body.content)

    async def _read(self, body: Body, receive: Receive, largest: int, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                more = True
                while more:
                    part, more = await _next(receive)
                    if len(body.content) + len(part) > largest:
                        raise _too_large(largest)
                    self._count(body, len(part))
                    body.content += part
        except TimeoutError:
            raise _incomplete("The body did not arrive in time.") from None
        body.is_whole = True
        self._release(body, REQUEST_BYTES)

    def _count(self, body: Body, size: int) -> None:
        if body not in self._unanswered or self._held[body.sender] + size > self._share:
            raise _overloaded()
        while size > self._left:
            self._end_one(body)
        self._left -= size
        self._held[body.sender] += size
        body.counted += size

    def _end_one(self, newest: Body) -> None:
        """Make room. ApiProblem where it is the newest itself that has to go."""
        counted = [each for each in self._unanswered if each.counted]
        ended = _oldest_of_greatest([each for each in counted if not each.is_whole])
        if ended in (None, newest):
            ended = _oldest_of_greatest(counted)
        if ended is None or ended is newest:
            raise _overloaded()
        self._drop(ended)
        if not ended.deadline.expired():
            ended.deadline.reschedule(asyncio.get_running_loop().time())

    def _drop(self, body: Body) -> None:
        self._unanswered.pop(body, None)
        self._release(body, body.counted)

    def _release(self, body: Body, size: int) -> None:
        self._left += size
        self._held[body.sender] -= size
        body.counted -= size
        if not self._held[body.sender]:
            del self._held[body.sender]


def _oldest_of_greatest(unanswered: Sequence[Body]) -> Body | None:
    held: Counter[str] = Counter()
    for each in unanswered:
        held[each.sender] += each.counted
    return max(unanswered, key=lambda each: held[each.sender], default=None)


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


def _too_large(largest: int) -> ApiProblem:
    return ApiProblem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "body_too_large",
        f"The body may have at most {largest} bytes.",
    )


def _overloaded() -> ApiProblem:
    return ApiProblem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "overloaded",
        "Too many large requests at the same time. Send this one again in a second.",
        retryable=True,
        headers={"Retry-After": "1"},
    )


def _incomplete(detail: str) -> ApiProblem:
    return ApiProblem(HTTPStatus.REQUEST_TIMEOUT, "body_incomplete", detail, retryable=True)
