import asyncio
import html
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from sandbox.alipay import answers
from sandbox.alipay.contents import check_content
from sandbox.alipay.envelope import Call, find_app, merge, verify
from sandbox.alipay.errors import MESSAGES, GatewayError
from sandbox.alipay.keys import App, KeyRing
from sandbox.alipay.methods import CHECKOUTS, OPERATIONS, Methods, cashier_url
from sandbox.alipay.signing import sign
from sandbox.books import Order
from sandbox.context import Context
from sandbox.faults import Fault
from sandbox.lost_answer import LostAnswer
from sandbox.wire_response import METHODS, WireResponse

KNOWN = CHECKOUTS | OPERATIONS
NOT_EXECUTED = {
    "server_error": ("20000", "isp.unknow-error", "服务暂不可用"),
    "rate_limited": ("40005", "isv.app-call-limited", "应用调用次数超限"),
}
CALL_FAULTS = (
    "lost_answer",
    "delay",
    *NOT_EXECUTED,
    "system_error",
    "unsigned",
    "bad_signature",
    "signtest",
    "garbled",
    "pending",
    "refund_status",
    "fund_change_n",
    "empty_refund_query",
)
PAGE_ERROR = """<!doctype html><html lang="zh"><meta charset="utf-8"><title>支付宝</title>
<body><h1>调试错误，请回到请求来源地，重新发起请求。</h1>
<p>错误代码 <code>{code}</code></p><p>错误原因: {reason}</p></body></html>"""


async def _no_such_page() -> WireResponse:
    headers = {"Content-Type": "text/html;charset=utf-8", "trace_id": secrets.token_hex(16)}
    return WireResponse(b"<html><body>404 Not Found</body></html>", 404, headers)


@dataclass(frozen=True)
class Gateway:
    """`gateway.do`: verifies every request before it believes a word of it."""

    context: Context
    keys: KeyRing
    methods: Methods
    writer: answers.AnswerWriter

    def router(self) -> APIRouter:
        """Both addresses, by every method, and those that Alipay does not have."""
        router = APIRouter(tags=["alipay"])
        for path in ("/alipay/gateway.do", "/gateway.do"):
            router.add_api_route(path, self.answer, methods=["GET", "POST"], response_model=None)
            router.add_api_route(path, self.answer, methods=METHODS, include_in_schema=False)
        router.add_api_route(
            "/alipay/{rest:path}", _no_such_page, methods=METHODS, include_in_schema=False
        )
        return router

    async def answer(self, request: Request) -> Response:
        """One HTTP request to the gateway."""
        params: dict[str, str] = {}
        app: App | None = None
        try:
            params = merge(request.url.query, await request.body())
            app = find_app(params, self.keys)
            call = verify(params, app, KNOWN, self.context)
            if call.method in CHECKOUTS:
                order = self.show(call)
                return RedirectResponse(cashier_url(self.methods.trades, order), 302)
        except GatewayError as error:
            return self._refuse(error, params, app)
        return await self._serve(call)

    def show(self, call: Call) -> Order:
        """The phone or browser arrives with a signed order; raises GatewayError."""
        check_content(call.content)
        return self.methods.trades.accept(call, CHECKOUTS[call.method], shown=True)

    async def _serve(self, call: Call) -> Response:
        fields = ("out_trade_no", "out_request_no", "trade_no")
        references = [call.content.get(field) for field in fields]
        fault = self.context.faults.take("alipay", OPERATIONS[call.method], *references)
        kind = fault.kind if fault else ""
        params = fault.params if fault else {}
        if kind == "delay":
            await asyncio.sleep(float(params.get("seconds", 1)))
        content = self._content(call, fault)
        if kind == "lost_answer":
            return LostAnswer(float(params.get("seconds", 0)))
        if "http_status" in params:
            return Response("<html><body>bad gateway</body></html>", int(params["http_status"]))
        return answers.response(self._body(call, content, kind), call.params)

    def _content(self, call: Call, fault: Fault | None) -> dict[str, Any]:
        kind = fault.kind if fault else ""
        executed = bool(fault and fault.params.get("executed", kind == "system_error"))
        if kind in NOT_EXECUTED:
            if executed:
                self.methods.run(call, None)
            return GatewayError(*NOT_EXECUTED[kind]).content()
        if fault and kind == "error_code":
            code, sub_code = fault.params.get("code", "40004"), fault.params["sub_code"]
            return GatewayError(str(code), str(sub_code), "按剧本拒绝").content()
        if fault and kind == "credit_pay_mode":
            content = self.methods.run(call, fault)
            self._put_on_credit(call, str(fault.params.get("mode", "creditAdvanceV2")))
            return content
        if kind != "system_error":
            return self.methods.run(call, fault)
        if executed:
            self.methods.run(call, None)
        error = ("ACQ.SYSTEM_ERROR", "系统错误")
        return {
            "code": "40004",
            "msg": MESSAGES["40004"],
            "sub_code": error[0],
            "sub_msg": error[1],
        }

    def _put_on_credit(self, call: Call, mode: str) -> None:
        books = self.context.books
        order = books.find_order("alipay", str(call.content.get("out_trade_no")))
        if order is not None:
            order.extra["credit_pay_mode"] = mode
            books.put_order(order)

    def _body(self, call: Call, content: dict[str, Any], kind: str) -> bytes:
        name = answers.node_name(call.method)
        node = self.writer.node(content, call.app, call.params)
        if kind == "unsigned":
            text = answers.envelope(name, node, None, None)
        elif kind in ("bad_signature", "signtest"):
            data = answers.encoded(node, call.params) + b" "
            signature = sign(data, call.app.alipay_key, call.app.sign_type)
            text = answers.envelope(name, node, call.app, signature)
        else:
            text = self.writer.signed(name, node, call.app, call.params)
        if kind == "garbled":
            text = text[: len(text) // 2]
        return answers.encoded(text, call.params)

    def _refuse(self, error: GatewayError, params: Mapping[str, str], app: App | None) -> Response:
        method = params.get("method", "")
        if CHECKOUTS.get(method) in ("wap", "page"):
            code = error.sub_code.removeprefix("isv.")
            page = PAGE_ERROR.format(code=html.escape(code), reason=html.escape(error.sub_msg))
            return HTMLResponse(page)
        name = answers.node_name(method)
        node = self.writer.node(error.content(), None, params)
        if app is None or not error.signed:
            text = answers.envelope(name, node, None, None)
        else:
            text = self.writer.signed(name, node, app, params)
        return answers.response(answers.encoded(text, params), params)
