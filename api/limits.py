"""Bounds on every request: how much may be sent, and how long anything may take."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Refusal

LARGEST_BODY = 64 * 1024
# Whole histories are opened for the Temporal UI, and a payload may have 2 MiB.
LARGEST_CODEC_BODY = 8 * 1024 * 1024
# An app may bring every transaction that it holds, each with its three certificates.
LARGEST_RESTORE_BODY = 1024 * 1024
# A body of 64 KiB that takes longer is a slow-loris, not a merchant.
BODY_SECONDS = 10.0
# Longer than everything that a route waits for (an answer from Temporal, then our books).
REQUEST_SECONDS = 20.0


class Limited:
    """Middleware that reads the body before anything else runs, up to the limits."""

    def __init__(self, app: ASGIApp, larger: Mapping[str, int]) -> None:
        """`larger` has path prefixes whose bodies may have that many bytes."""
        self._app = app
        self._larger = larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _read(scope, receive, self._limit(scope["path"]))
        except TimeoutError:
            await _too_slow("The body did not arrive in time.").response()(scope, receive, send)
            return
        except Refusal as refusal:
            await refusal.response()(scope, receive, send)
            return
        await self._answer(scope, _replay(body, receive), send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                await self._app(scope, receive, watch)
        except TimeoutError:
            if started:
                raise
            late = Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "timed_out",
                "The answer took too long. Sending the same request again is safe.",
                retryable=True,
            )
            await late.response()(scope, receive, send)

    def _limit(self, path: str) -> int:
        sizes = (size for prefix, size in self._larger.items() if path.startswith(prefix))
        return next(sizes, LARGEST_BODY)


async def _read(scope: Scope, receive: Receive, limit: int) -> bytes:
    too_large = Refusal(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "body_too_large",
        f"The body may have at most {limit} bytes.",
    )
    if _declared(scope) > limit:
        raise too_large
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _too_slow("The body ended early.")
        body += message.get("body", b"")
        if len(body) > limit:
            raise too_large
        if not message.get("more_body", False):
            return bytes(body)


def _declared(scope: Scope) -> int:
    # What is no number (or has thousands of digits) is left to the count of what arrives.
    try:
        return int(Headers(scope=scope).get("content-length", "0"))
    except ValueError:
        return 0


def _replay(body: bytes, receive: Receive) -> Receive:
    waiting = [body]

    async def again() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return again


def _too_slow(detail: str) -> Refusal:
    return Refusal(HTTPStatus.REQUEST_TIMEOUT, "body_incomplete", detail, retryable=True)
