import asyncio
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sandbox.apple_iap.authorization import admit
from sandbox.apple_iap.call import Call
from sandbox.apple_iap.changes import Changes
from sandbox.apple_iap.errors import (
    FORBIDDEN,
    NOT_FOUND,
    RATE_LIMIT,
    UNAUTHORIZED,
    ApiError,
    UnauthorizedError,
)
from sandbox.apple_iap.flaws import CLAIM_FLAWS, Claims
from sandbox.apple_iap.histories import Histories
from sandbox.apple_iap.keys import KeyRing
from sandbox.apple_iap.lookups import Lookups
from sandbox.apple_iap.mass_extensions import MassExtensions
from sandbox.apple_iap.receipts import RECEIPT_PATH, Receipts
from sandbox.apple_iap.signing import FORGERIES
from sandbox.apple_iap.transactions import Transactions
from sandbox.apple_iap.views import PROVIDER
from sandbox.context import Context
from sandbox.faults import Fault
from sandbox.lost_answer import LostAnswer
from sandbox.wire_response import METHODS, WireResponse

Handler = Callable[[Call], Claims | None]
# The sandbox's host, and the root for clients with a fixed path.
HOSTS = ("/apple_iap/sandbox", "")
ROOT = "/inApps"
ON_APPLICATION = ("v1/messaging/", "v1/advancedCommerce/")
REFUSALS = {
    "server_error": 5000000,
    "rate_limited": RATE_LIMIT,
    "not_found": 4040010,
    "error_code": 4040002,
}
CALL_FAULTS = (
    "lost_answer",
    "delay",
    "garbled",
    "unauthorized",
    "system_error",
    *REFUSALS,
    *FORGERIES,
    *(flaw for flaw in CLAIM_FLAWS if flaw != "unknown_type"),
)


@dataclass(frozen=True)
class Endpoint:
    """One address; `operation` is the name that faults are scripted for."""

    method: str
    path: str
    operation: str
    handler: Handler
    status: int = 200


@dataclass(frozen=True)
class Gateway:
    """The way of every call: admit, maybe misbehave, execute, answer."""

    context: Context
    keys: KeyRing
    transactions: Transactions
    lookups: Lookups
    histories: Histories
    changes: Changes
    mass_extensions: MassExtensions
    receipts: Receipts

    def router(self) -> APIRouter:
        """Every endpoint, on every host."""
        router = APIRouter(tags=[PROVIDER])
        for host in HOSTS:
            for endpoint in self._endpoints():
                router.add_api_route(
                    f"{host}{ROOT}{endpoint.path}",
                    self._answer(endpoint),
                    methods=[endpoint.method],
                    include_in_schema=not host,
                )
            router.add_api_route(
                f"{host}{RECEIPT_PATH}",
                self._verify_receipt,
                methods=METHODS,
                include_in_schema=False,
            )
            router.add_api_route(
                f"{host}{ROOT}/{{rest:path}}",
                self._refuse,
                methods=METHODS,
                include_in_schema=False,
            )
        return router

    async def serve(self, request: Request, endpoint: Endpoint) -> Response:
        """Answer one request; a token that does not hold gets an empty 401."""
        now = self.context.clock.now()
        try:
            admit(request.headers.get("authorization"), self.keys, now)
            call = self._with_fault(await self._call(request), endpoint)
            content = await self._execute(call, endpoint)
        except UnauthorizedError:
            return _empty(UNAUTHORIZED)
        except ApiError as error:
            return _response(error.status, error.content(), error.headers(now))
        kind, params = (call.fault.kind, call.fault.params) if call.fault else ("", {})
        if kind == "lost_answer":
            return LostAnswer(float(params.get("seconds", 0)))
        if content is None:
            return _empty(endpoint.status)
        return _response(endpoint.status, content, {}, is_garbled=kind == "garbled")

    async def _execute(self, call: Call, endpoint: Endpoint) -> Claims | None:
        kind, params = (call.fault.kind, call.fault.params) if call.fault else ("", {})
        if kind == "delay":
            await asyncio.sleep(float(params.get("seconds", 1)))
        if kind == "unauthorized":
            raise UnauthorizedError
        if kind in REFUSALS:
            code = int(params.get("code", REFUSALS[kind]))
            raise ApiError(code, int(params.get("status", 0)))
        with self.context.books.transaction():
            content = endpoint.handler(call)
        if kind == "system_error":
            raise ApiError(5000001)
        return content

    async def _refuse(self, request: Request) -> Response:
        """An address or method that Apple does not have."""
        try:
            admit(request.headers.get("authorization"), self.keys, self.context.clock.now())
        except UnauthorizedError:
            return _empty(UNAUTHORIZED)
        rest = request.path_params["rest"]
        # Retention messages, and whatever else Apple grants on application.
        return _empty(FORBIDDEN if rest.startswith(ON_APPLICATION) else NOT_FOUND)

    async def _verify_receipt(self, request: Request) -> Response:
        """`verifyReceipt`: no token, and every answer has HTTP status 200."""
        body = await request.body() if request.method == "POST" else None
        return _response(200, self.receipts.verify(body, self._environment(request)), {})

    def _environment(self, request: Request) -> str:
        _, port = request.scope["server"]
        return "Production" if port == urlsplit(self.context.production_url).port else "Sandbox"

    async def _call(self, request: Request) -> Call:
        return Call(
            path=dict(request.path_params),
            query={name: request.query_params.getlist(name) for name in request.query_params},
            body=_object(await request.body()),
            environment=self._environment(request),
            now=self.context.clock.now(),
            keys=self.keys,
        )

    def _with_fault(self, call: Call, endpoint: Endpoint) -> Call:
        fault: Fault | None = self.context.faults.take(
            PROVIDER, endpoint.operation, *call.path.values(), *self._at_hand(call, endpoint)
        )
        return replace(call, fault=fault)

    def _at_hand(self, call: Call, endpoint: Endpoint) -> list[str]:
        """The orders that the answer will be about, by whose names faults are scripted."""
        if order := self.transactions.find(call.path.get("transaction_id", "")):
            chain = self.transactions.of_customer(order.payer or "")
            return [item.reference for item in chain]
        if endpoint.path.endswith("/notifications/history"):
            return [notice.reference for notice in self.histories.asked(call.body, call)]
        return []

    def _answer(self, endpoint: Endpoint) -> Callable[[Request], object]:
        async def answer(request: Request) -> Response:
            return await self.serve(request, endpoint)

        return answer

    def _endpoints(self) -> tuple[Endpoint, ...]:
        look, told, change = self.lookups, self.histories, self.changes
        one, sub = "/v1/transactions", "/v1/subscriptions"
        consumption = "/transactions/consumption/{transaction_id}"
        return (
            Endpoint(
                "GET", f"{one}/appTransactions/{{transaction_id}}", "query", look.app_transaction
            ),
            Endpoint("GET", f"{one}/{{transaction_id}}", "query", look.transaction),
            Endpoint("GET", "/v1/history/{transaction_id}", "query", look.old_history),
            Endpoint("GET", "/v2/history/{transaction_id}", "query", look.history),
            Endpoint("GET", f"{sub}/{{transaction_id}}", "query", look.statuses),
            Endpoint("GET", "/v2/refund/lookup/{transaction_id}", "refund_query", look.refunds),
            Endpoint("GET", "/v1/lookup/{order_id}", "order_lookup", look.order_id),
            Endpoint("POST", "/v1/notifications/history", "query", told.notifications),
            Endpoint("POST", "/v1/notifications/test", "test_notification", told.request_test),
            Endpoint(
                "GET", "/v1/notifications/test/{token}", "test_notification", told.test_status
            ),
            Endpoint("PUT", f"/v2{consumption}", "consumption", change.consumption, 202),
            Endpoint("PUT", f"/v1{consumption}", "consumption", change.old_consumption, 202),
            Endpoint("PUT", f"{one}/{{transaction_id}}/appAccountToken", "token", change.token),
            Endpoint("POST", f"{one}/{{transaction_id}}/finish", "finish", change.finish),
            Endpoint("POST", f"{sub}/extend/mass", "extend", self.mass_extensions.extend),
            Endpoint(
                "GET",
                f"{sub}/extend/mass/{{product_id}}/{{request_identifier}}",
                "extend",
                self.mass_extensions.status,
            ),
            Endpoint("PUT", f"{sub}/extend/{{transaction_id}}", "extend", change.extend),
        )


def _object(body: bytes) -> Claims:
    if not body:
        return {}
    try:
        content: Any = json.loads(body)
    except ValueError as error:
        raise ApiError(4000000) from error
    if not isinstance(content, dict):
        raise ApiError(4000000)
    return content


def _response(
    status: int, content: Claims, headers: dict[str, str], *, is_garbled: bool = False
) -> Response:
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    if is_garbled:
        body = body[: len(body) // 2]
    # Bare: Apple's own libraries compare this value as a whole.
    return WireResponse(body, status, headers | {"Content-Type": "application/json"} | _named())


def _empty(status: int) -> Response:
    return WireResponse(status_code=status, headers=_named())


def _named() -> dict[str, str]:
    return {"x-apple-request-uuid": str(uuid.uuid4())}
