"""Bounds on every request, in this order: who sends it, how often, how much, how long it takes.

What a caller has for itself is counted before a byte of its body is read, and what visitors share
only once the body is whole. Everything that rejects does so before anything is parsed.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import NamedTuple
from uuid import UUID

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.dependencies import Dependencies
from api.http import bodies
from api.http.admission import MerchantLimits, Probes, Visit, Visitors
from api.http.authentication import Authentication
from api.http.bodies import Bodies, replay
from api.http.errors import problem_of
from api.http.failed_authentication import FailedAuthentication
from api.http.metrics import Metrics
from api.http.problems import ApiProblem
from api.http.rates import NoPlace, Slots, Waiting
from api.http.route_classes import MERCHANTS_CLASSES, UNMATCHED, Match, RouteClass, find_route
from api.http.shapes import check_body, check_query
from domain.errors import PaymentError
from engine import logs
from settings import Settings

# Longer than everything that a route waits for (an answer from Temporal, then the database).
REQUEST_SECONDS = 20.0
AUTHENTICATION_SECONDS = 10.0
# An operator's page opens its payloads one history at a time; 8 MiB each.
OPERATORS_AT_ONCE = 4
# Of all addresses together; more of them wait longer, so that addresses do not buy answers.
VISITORS_AT_USUAL_PAUSE = 150
# Bytes. What is smaller fits into the buffers on its way.
LARGE_ANSWER = 64 * 1024
_OPERATOR = "operator"


@dataclass(frozen=True)
class _Call:
    """One request with its way to answer."""

    request: Request
    receive: Receive
    send: Send
    match: Match


class _Answered(NamedTuple):
    """An answer's status, and the bytes of its body."""

    status: int
    size: int


class Limited:
    """Middleware that admits, authenticates and reads a request; the application answers it."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        # No places are shared, so that none of them takes those of another.
        self._merchants = MerchantLimits(settings, Waiting())
        self._notifiers = Visitors(settings, Waiting(VISITORS_AT_USUAL_PAUSE))
        strangers = Waiting(VISITORS_AT_USUAL_PAUSE)
        self._visitors = Visitors(settings, strangers)
        # Neither a payer nor a merchant whose key was not seen yet must wait behind readers of
        # the documents.
        self._payers = Visitors(settings, strangers)
        unknown = Visitors(settings, strangers)
        self._authentication = Authentication(unknown, FailedAuthentication(metrics))
        self._probes = Probes(Waiting(VISITORS_AT_USUAL_PAUSE))
        self._operators = Slots(OPERATORS_AT_ONCE, Waiting())
        self._bodies = Bodies(bodies.MERCHANTS_BODIES)
        self._visitors_bodies = Bodies(bodies.VISITORS_BODIES, bodies.PEER_BODIES)
        self._notification_bodies = Bodies(bodies.NOTIFICATION_BODIES, bodies.PEER_BODIES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        match = find_route(scope["method"], scope["path"]) or UNMATCHED
        call = _Call(Request(scope), receive, send, match)
        call.request.state.route = match.route.path
        _bind_payment(match)
        try:
            await self._serve(call)
        except ApiProblem as problem:
            await self._answer_problem(call, problem)
        except NoPlace as error:
            await self._answer_problem(call, _too_many(is_immediate=error.is_immediate))
        except PaymentError as error:
            await self._answer_problem(call, problem_of(error, call.request))

    async def _serve(self, call: _Call) -> None:
        kind = call.match.route.route_class
        if kind in MERCHANTS_CLASSES:
            async with self._authenticating(call) as dependencies:
                await self._authentication.authenticate_merchant(call.request, dependencies)
            merchant_id = call.request.state.merchant.id
            logs.bind(merchant_id=merchant_id)
            async with self._merchants.admit(merchant_id, kind):
                size = await self._read_and_answer(call, merchant_id)
                await self._merchants.charge(merchant_id, kind, size)
        elif kind is RouteClass.OPERATOR:
            async with self._authenticating(call) as dependencies:
                await self._authentication.authenticate_operator(call.request, dependencies)
            async with self._operators.slot(_OPERATOR):
                await self._read_and_answer(call, _OPERATOR)
        elif kind is RouteClass.PROBE:
            await self._probes.admit(call.request.state.peer)
            await self._answer(call, b"")
        elif kind is RouteClass.NOTIFY:
            await self._visit(call, self._notifiers, self._notification_bodies)
        elif kind is RouteClass.RETURN:
            await self._visit(call, self._payers, self._visitors_bodies)
        else:
            await self._visit(call, self._visitors, self._visitors_bodies)

    async def _visit(self, call: _Call, visitors: Visitors, held: Bodies) -> None:
        peer, is_failure = call.request.state.peer, True
        async with visitors.visit(peer) as visit:
            try:
                status = await self._serve_visit(call, visitors, visit, held)
                # A page's own files are large, and nobody needs many of them in a second.
                is_failure = status >= HTTPStatus.BAD_REQUEST or call.match is UNMATCHED
                if _is_genuine(call) and call.request.state.is_new:
                    visitors.proved(peer)
                elif _is_genuine(call):
                    await visitors.repeated(peer)
            except NoPlace:
                is_failure = False
                raise
            finally:
                # A provider's own message costs its address nothing, whatever we answer.
                if is_failure and not _is_genuine(call):
                    await visitors.failed(peer)

    async def _serve_visit(
        self, call: _Call, visitors: Visitors, visit: Visit, held: Bodies
    ) -> int:
        """Return the answer's status. Raises ApiProblem and NoPlace."""
        if call.match is UNMATCHED:
            # Whatever answers it needs no body.
            async with visitors.serve(visit):
                return (await self._answer(call, b"")).status
        async with (
            held.body(
                call.request.scope,
                call.receive,
                largest=call.match.route.largest_body,
                seconds=bodies.VISITORS_BODY_SECONDS,
                sender=visit.network,
            ) as body,
            visitors.serve(visit),
        ):
            return (await self._answer(call, held.answer(body))).status

    @asynccontextmanager
    async def _authenticating(self, call: _Call) -> AsyncIterator[Dependencies]:
        try:
            async with asyncio.timeout(AUTHENTICATION_SECONDS):
                yield call.request.app.state.dependencies
        except TimeoutError:
            raise _timed_out() from None

    async def _read_and_answer(self, call: _Call, sender: str) -> int:
        """Return the bytes of body and answer. Raises ApiProblem where the body was not taken."""
        read = self._bodies.body(
            call.request.scope,
            call.receive,
            largest=call.match.route.largest_body,
            seconds=bodies.BODY_SECONDS,
            sender=sender,
        )
        async with read as body:
            content = self._bodies.answer(body)
            return len(content) + (await self._answer(call, content)).size

    async def _answer(self, call: _Call, body: bytes) -> _Answered:
        scope, receive = call.request.scope, replay(body, call.receive)
        check_query(scope["query_string"])
        check_body(call.match.route.route_class, body)
        status: int | None = None
        size = 0

        async def watch(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
            size += len(message.get("body", b""))
            if len(message.get("body", b"")) > LARGE_ANSWER:
                # The server waits before it sends anything more, and this request's place is held
                # until its client has read.
                await call.send({**message, "more_body": True})
                message = {"type": "http.response.body", "more_body": message.get("more_body")}
            await call.send(message)

        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                await self._app(scope, receive, watch)
        except TimeoutError:
            if status is not None:
                raise
            await _timed_out().response()(scope, receive, watch)
        return _Answered(status or HTTPStatus.INTERNAL_SERVER_ERROR, size)

    async def _answer_problem(self, call: _Call, problem: ApiProblem) -> None:
        self._metrics.rejected(call.match.route.route_class, problem.code)
        await problem.response()(call.request.scope, call.receive, call.send)


def _is_genuine(call: _Call) -> bool:
    return bool(getattr(call.request.state, "is_genuine", False))


def _bind_payment(match: Match) -> None:
    try:
        logs.bind(payment_id=str(UUID(match.parameters.get("payment_id", ""))))
    except ValueError:
        return


def _timed_out() -> ApiProblem:
    return ApiProblem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "timed_out",
        "The answer took too long. Sending the same request again is safe.",
        retryable=True,
    )


def _too_many(*, is_immediate: bool) -> ApiProblem:
    # Who did not wait has more connections than may wait: a new one costs its client the most.
    closing = {"Connection": "close"} if is_immediate else {}
    return ApiProblem(
        HTTPStatus.TOO_MANY_REQUESTS,
        "too_many_concurrent_requests",
        "Too many of your requests are being answered. Send this one again later.",
        retryable=True,
        headers={"Retry-After": "1"} | closing,
    )
