import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from sandbox.books import Order, Refund
from sandbox.context import Context
from sandbox.faults import Fault
from sandbox.lost_answer import LostAnswer
from sandbox.unionpay.envelope import Call, admit, charset_of, read_form
from sandbox.unionpay.errors import AcpError, message
from sandbox.unionpay.keys import KeyRing, Merchant
from sandbox.unionpay.operations import OTHER_ENDPOINTS
from sandbox.unionpay.pages import error_page
from sandbox.unionpay.payments import Payments
from sandbox.unionpay.sealing import Fields, seal
from sandbox.unionpay.transactions import PROVIDER, Transactions
from sandbox.unionpay.views import echo
from sandbox.wire_response import METHODS, WireResponse

Handler = Callable[[Call], Fields]
PATH = "/gateway/api"
FRONT = "frontTransReq.do"
ENDPOINTS = ("appTransReq.do", "backTransReq.do", "queryTrans.do", *OTHER_ENDPOINTS)
SEAL_FLAWS = (
    "bad_signature",
    "signtest",
    "foreign_ca",
    "wrong_cn",
    "expired_certificate",
    "foreign_key",
)
CALL_FAULTS = (
    "lost_answer",
    "delay",
    "late_answer",
    "server_error",
    "system_error",
    "rate_limited",
    "resp_code",
    "orig_resp_code",
    "pending",
    "refund_status",
    "empty_refund_query",
    *SEAL_FLAWS,
    "unsigned",
    "garbled",
)
# Answers after which the transaction may have been executed; 42, 74 and 75 say that it debited.
UNCLEAR = ("00", "01", "03", "04", "05", "34", "42", "74", "75", "99", "A6")


async def _no_such_page() -> Response:
    return _refusal(404, "页面不存在")


async def _no_such_method() -> Response:
    return _refusal(405, "请求方法错误")


def _refusal(status: int, text: str) -> Response:
    headers = {"Content-Type": "text/html;charset=UTF-8"}
    return WireResponse(error_page(str(status), text).encode(), status, headers)


@dataclass(frozen=True)
class Gateway:
    """The way of every request: verify, maybe misbehave, execute, answer signed and raw."""

    context: Context
    keys: KeyRing
    transactions: Transactions
    payments: Payments
    handlers: Mapping[str, Handler]

    def router(self) -> APIRouter:
        """The endpoints, under `/unionpay` and at the root for clients with a fixed path."""
        router = APIRouter(tags=["unionpay"])
        for prefix in (f"/unionpay{PATH}", PATH):
            for endpoint in ENDPOINTS:
                router.add_api_route(
                    f"{prefix}/{endpoint}", self._endpoint(endpoint), methods=["POST"]
                )
            router.add_api_route(f"{prefix}/{FRONT}", self.redirect, methods=["POST"])
            for path, refuse in (
                *((endpoint, _no_such_method) for endpoint in (*ENDPOINTS, FRONT)),
                ("{rest:path}", _no_such_page),
            ):
                router.add_api_route(
                    f"{prefix}/{path}", refuse, methods=METHODS, include_in_schema=False
                )
        return router

    async def serve(self, request: Request, endpoint: str) -> Response:
        """Answer one request of a merchant's server."""
        fields: Fields = {}
        fault: Fault | None = None
        try:
            body, content_type = await request.body(), request.headers.get("content-type", "")
            fields = read_form(body, content_type)
            call = self._with_fault(admit(endpoint, fields, self.keys, self.context))
            fault = call.fault
            if fault and fault.kind == "server_error":
                status = int(fault.params.get("status", 502))
                return HTMLResponse("<html><body>bad gateway</body></html>", status)
            content = await self._execute(call)
        except AcpError as error:
            content = {"respCode": error.code, "respMsg": error.message}
        if fault and fault.kind == "lost_answer":
            return LostAnswer(float(fault.params.get("seconds", 0)))
        return self._answer(fields, content, fault.kind if fault else None)

    async def redirect(self, request: Request) -> Response:
        """`frontTransReq.do`: the payer's browser arrives and is shown the cashier."""
        try:
            body, content_type = await request.body(), request.headers.get("content-type", "")
            order = await self._show(read_form(body, content_type))
        except AcpError as error:
            return HTMLResponse(error_page(error.code, error.message))
        return RedirectResponse(self.cashier_url(order), 303)

    def accept_front(self, fields: Fields) -> Order:
        """The order that a signed form brings; raises AcpError."""
        return self.payments.order_in_browser(admit(FRONT, fields, self.keys, self.context))

    def cashier_url(self, order: Order) -> str:
        """Where a person pays the order."""
        return f"{self.context.base_url}/cashier/{PROVIDER}/{order.reference}"

    async def _show(self, fields: Fields) -> Order:
        call = self._with_fault(admit(FRONT, fields, self.keys, self.context))
        if call.fault and call.fault.kind == "delay":
            await asyncio.sleep(float(call.fault.params.get("seconds", 1)))
        if call.fault and call.fault.kind in ("server_error", "rate_limited", "resp_code"):
            raise AcpError(str(call.fault.params.get("code", "06")))
        return self.payments.order_in_browser(call)

    async def _execute(self, call: Call) -> Fields:
        kind, params = (call.fault.kind, call.fault.params) if call.fault else ("", {})
        if kind == "delay":
            await asyncio.sleep(float(params.get("seconds", 1)))
        usual = {"system_error": "04", "rate_limited": "06", "resp_code": "03"}.get(kind)
        if kind == "rate_limited" and call.operation.name == "query":
            usual = "37"
        if usual is None:
            content = self.handlers[call.operation.name](call)
            if kind == "late_answer":
                await asyncio.sleep(float(params.get("seconds", 1)))
            return {"respCode": "00", "respMsg": message("00")} | content
        code = str(params.get("code", usual))
        if params.get("executed", kind != "rate_limited" and code in UNCLEAR):
            self.handlers[call.operation.name](call)
        raise AcpError(code)

    def _answer(self, fields: Fields, content: Fields, kind: str | None) -> Response:
        merchant, charset = self._merchant(fields), charset_of(fields)
        flaw = kind if kind in SEAL_FLAWS else None
        sealed = seal(self.keys, merchant, echo(fields) | content, charset, flaw)
        if kind == "unsigned":
            del sealed["signature"]
        # Nothing is percent-encoded here: that is how the real gateway answers.
        text = "&".join(f"{key}={value}" for key, value in sealed.items())
        if kind == "garbled":
            text = text[: len(text) // 2]
        media_type = f"text/html;charset={'UTF-8' if charset == 'utf-8' else 'GBK'}"
        return WireResponse(text.encode(charset), headers={"Content-Type": media_type})

    def _merchant(self, fields: Fields) -> Merchant:
        return self.keys.merchants.get(fields.get("merId", ""), self.keys.main)

    def _with_fault(self, call: Call) -> Call:
        found = self.transactions.find(call.fields)
        is_refund = call.operation.name == "query" and isinstance(found, Refund)
        operation = "refund_query" if is_refund else call.operation.fault
        original = self.context.books.order_by_provider_reference(
            PROVIDER, call.fields.get("origQryId", "")
        )
        fault = self.context.faults.take(
            PROVIDER,
            operation,
            call.fields["orderId"],
            call.fields.get("origOrderId"),
            original.reference if original else None,
            found.reference if found else None,
        )
        return replace(call, fault=fault)

    def _endpoint(self, endpoint: str) -> Callable[[Request], object]:
        async def answer(request: Request) -> Response:
            return await self.serve(request, endpoint)

        return answer
