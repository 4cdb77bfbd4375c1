"""Bounds on every request, in this order: who asks, how often, how much is sent, how long it takes.

Everything that refuses does so before a byte of the body is read and before anything is parsed.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from uuid import UUID

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import bodies
from api.admission import MerchantLimits, Visitors
from api.auth import Authentication
from api.bodies import Bodies, replay
from api.dependencies import Dependencies
from api.errors import refusal_of
from api.failed_authentication import FailedAuthentication
from api.metrics import Metrics
from api.problems import Refusal
from api.rates import NoPlace, Slots, Waiting
from api.route_classes import MERCHANTS_CLASSES, Match, RouteClass, find_route
from domain.errors import PaymentError
from engine import logs
from settings import Settings

# Longer than everything that a route waits for (an answer from Temporal, then our books).
REQUEST_SECONDS = 20.0
AUTHENTICATION_SECONDS = 10.0
# An operator's page opens its payloads one history at a time; 8 MiB each.
OPERATORS_AT_ONCE = 4


@dataclass(frozen=True)
class _Call:
    """One request with its way to answer."""

    request: Request
    receive: Receive
    send: Send
    match: Match


class Limited:
    """Middleware that admits, authenticates and reads a request; the application answers it."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        # Nothing is shared, so that none of them takes the places of another.
        self._merchants = MerchantLimits(settings, Waiting())
        self._notifiers = Visitors(settings, Waiting())
        self._visitors = Visitors(settings, Waiting())
        self._operators = Slots(OPERATORS_AT_ONCE, Waiting())
        self._authentication = Authentication(self._visitors, FailedAuthentication(metrics))
        self._bodies = Bodies(bodies.MERCHANTS_BODIES)
        self._visitors_bodies = Bodies(bodies.VISITORS_BODIES, bodies.PEER_BODIES)
        self._notification_bodies = Bodies(bodies.NOTIFICATION_BODIES, bodies.PEER_BODIES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        match = find_route(scope["method"], scope["path"])
        if match is None:
            # Whatever answers it needs no body, and finds no merchant.
            await self._answer(scope, replay(b"", receive), send)
            return
        call = _Call(Request(scope), receive, send, match)
        call.request.state.route = match.route.path
        _bind_payment(match)
        try:
            await self._serve(call)
        except Refusal as refusal:
            await self._refuse(call, refusal)
        except NoPlace:
            await self._refuse(call, _too_many())
        except PaymentError as error:
            await self._refuse(call, refusal_of(error, call.request))

    async def _serve(self, call: _Call) -> None:
        kind = call.match.route.route_class
        if kind in MERCHANTS_CLASSES:
            async with self._authenticating(call) as dependencies:
                await self._authentication.authenticate_merchant(call.request, dependencies)
            merchant_id = call.request.state.merchant.id
            logs.bind(merchant_id=merchant_id)
            async with self._merchants.admit(merchant_id, kind):
                await self._read_and_answer(call, self._bodies, bodies.BODY_SECONDS)
        elif kind is RouteClass.OPERATOR:
            async with self._authenticating(call) as dependencies:
                await self._authentication.authenticate_operator(call.request, dependencies)
            async with self._operators.slot(""):
                await self._read_and_answer(call, self._bodies, bodies.BODY_SECONDS)
        elif kind is RouteClass.PROBE:
            await self._answer(call.request.scope, replay(b"", call.receive), call.send)
        else:
            notifies = kind is RouteClass.NOTIFY
            visitors = self._notifiers if notifies else self._visitors
            held = self._notification_bodies if notifies else self._visitors_bodies
            await self._visit(call, visitors, held)

    async def _visit(self, call: _Call, visitors: Visitors, held: Bodies) -> None:
        peer = call.request.state.peer
        status = int(HTTPStatus.BAD_REQUEST)
        async with visitors.visit(peer):
            try:
                status = await self._read_and_answer(call, held, bodies.VISITORS_BODY_SECONDS, peer)
            finally:
                # A provider's own message costs its address nothing, whatever we answer.
                is_genuine = getattr(call.request.state, "is_genuine", False)
                if status >= HTTPStatus.BAD_REQUEST and not is_genuine:
                    await visitors.failed(peer)

    @asynccontextmanager
    async def _authenticating(self, call: _Call) -> AsyncIterator[Dependencies]:
        try:
            async with asyncio.timeout(AUTHENTICATION_SECONDS):
                yield call.request.app.state.dependencies
        except TimeoutError:
            raise _timed_out() from None

    async def _read_and_answer(
        self, call: _Call, held: Bodies, seconds: float, peer: str = ""
    ) -> int:
        """Return the answer's status. Raises Refusal where the body was not taken."""
        scope, largest = call.request.scope, call.match.route.largest_body
        read = held.body(scope, call.receive, largest=largest, seconds=seconds, peer=peer)
        async with read as body:
            return await self._answer(scope, replay(body, call.receive), call.send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> int:
        status: int | None = None

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                await self._app(scope, receive, watch)
        except TimeoutError:
            if status is not None:
                raise
            await _timed_out().response()(scope, receive, watch)
        return status or HTTPStatus.INTERNAL_SERVER_ERROR

    async def _refuse(self, call: _Call, refusal: Refusal) -> None:
        self._metrics.refused(call.match.route.route_class, refusal.code)
        await refusal.response()(call.request.scope, call.receive, call.send)


def _bind_payment(match: Match) -> None:
    try:
        logs.bind(payment_id=str(UUID(match.parameters.get("payment_id", ""))))
    except ValueError:
        return


def _timed_out() -> Refusal:
    return Refusal(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "timed_out",
        "The answer took too long. Sending the same request again is safe.",
        retryable=True,
    )


def _too_many() -> Refusal:
    return Refusal(
        HTTPStatus.TOO_MANY_REQUESTS,
        "too_many_concurrent_requests",
        "Too many of your requests are being answered. Send this one again later.",
        retryable=True,
        headers={"Retry-After": "1"},
    )
