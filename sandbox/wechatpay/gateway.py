import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sandbox.context import Context
from sandbox.faults import Fault
from sandbox.incoming import read_incoming
from sandbox.lost_answer import LostAnswer
from sandbox.wechatpay.answers import Reply, respond
from sandbox.wechatpay.authorization import Door
from sandbox.wechatpay.call import PROVIDER, Call
from sandbox.wechatpay.errors import ApiError
from sandbox.wechatpay.keys import Merchant, PlatformKey

Handler = Callable[[Call], Reply]
ANSWER_FLAWS = ("unsigned", "bad_signature", "signtest", "garbled")
CALL_FAULTS = (
    "lost_answer",
    "delay",
    "server_error",
    "system_error",
    "rate_limited",
    "pending",
    "refund_status",
    "empty_refund_query",
    "error_code",
    *ANSWER_FLAWS,
)


class Gateway:
    """The way of every call: verify, maybe misbehave, execute, answer signed."""

    def __init__(self, context: Context, merchants: Mapping[str, Merchant]) -> None:
        self._context = context
        self._door = Door(merchants, context.strictness)

    async def serve(self, request: Request, operation: str, handler: Handler) -> Response:
        """Answer one request; faults are scripted for its `operation`."""
        incoming = await read_incoming(request)
        key: PlatformKey | None = None
        fault: Fault | None = None
        try:
            merchant = self._door.admit(incoming, self._context.clock.now())
            key = _answering_key(merchant, request)
            call = _call(request, merchant, incoming.body)
            fault = self._take_fault(operation, call)
            reply = await self._execute(handler, call, fault)
        except ApiError as error:
            reply = Reply(error.status, error.content())
        if fault and fault.kind == "lost_answer":
            return LostAnswer(float(fault.params.get("seconds", 0)))
        flaw = fault.kind if fault and fault.kind in ANSWER_FLAWS else None
        return respond(reply, key, self._context.clock.now(), flaw=flaw)

    async def _execute(self, handler: Handler, call: Call, fault: Fault | None) -> Reply:
        kind, params = (fault.kind, fault.params) if fault else ("", {})
        if kind == "delay":
            await asyncio.sleep(float(params.get("seconds", 1)))
        if kind == "server_error":
            raise ApiError(params.get("code", "SYSTEM_ERROR"), status=params.get("status"))
        if kind == "error_code":
            raise ApiError(str(params["code"]), params.get("message"), status=params.get("status"))
        limited = ApiError(params.get("code", "FREQUENCY_LIMITED"))
        if kind == "rate_limited" and not params.get("executed"):
            raise limited
        reply = handler(replace(call, fault=fault))
        if kind == "rate_limited":
            raise limited
        if kind == "system_error":
            raise ApiError(params.get("code", "SYSTEM_ERROR"))
        return reply

    def _take_fault(self, operation: str, call: Call) -> Fault | None:
        books = self._context.books
        numbers = (call.path.get("transaction_id"), call.body.get("transaction_id"))
        orders = [books.order_by_provider_reference(PROVIDER, item) for item in numbers if item]
        refunds = books.refunds(PROVIDER, call.path.get("out_refund_no", ""))
        return self._context.faults.take(
            PROVIDER,
            operation,
            *call.path.values(),
            call.body.get("out_trade_no"),
            call.body.get("out_refund_no"),
            *(item.reference for item in orders if item),
            *(item.reference for item in refunds),
        )


def _answering_key(merchant: Merchant, request: Request) -> PlatformKey:
    # SDKs that fetch the certificates for the first time send it empty.
    key = merchant.platform_key(request.headers.get("wechatpay-serial") or None)
    if key is None:
        raise ApiError("PARAM_ERROR", "平台证书序列号Wechatpay-Serial错误")
    return key


def _call(request: Request, merchant: Merchant, body: bytes) -> Call:
    content: Any = {}
    if request.method == "POST":
        try:
            content = json.loads(body)
            # Half a surrogate pair is legal JSON and no text.
            json.dumps(content, ensure_ascii=False).encode()
        except ValueError as error:
            raise ApiError("PARAM_ERROR", "请求体不是合法的JSON") from error
        if not isinstance(content, dict):
            raise ApiError("PARAM_ERROR", "请求体应为JSON对象")
    return Call(
        merchant=merchant,
        path=dict(request.path_params),
        query=dict(request.query_params),
        body=content,
    )
