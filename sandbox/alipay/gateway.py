import html
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from sandbox.alipay import answers
from sandbox.alipay.contents import check_content
from sandbox.alipay.envelope import Call, find_app, merge, verify
from sandbox.alipay.errors import GatewayError
from sandbox.alipay.execution import Execution, Outcome
from sandbox.alipay.keys import App, KeyRing
from sandbox.alipay.methods import CHECKOUTS, OPERATIONS, cashier_url
from sandbox.alipay.signing import sign
from sandbox.books import Order
from sandbox.context import Context
from sandbox.wire_response import METHODS, WireResponse

KNOWN = CHECKOUTS | OPERATIONS
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
    execution: Execution
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
                return RedirectResponse(cashier_url(self.execution.methods.trades, order), 302)
        except GatewayError as error:
            return self._refuse(error, params, app)
        return await self._serve(call)

    def show(self, call: Call) -> Order:
        """The phone or browser arrives with a signed order; raises GatewayError."""
        check_content(call.content)
        return self.execution.methods.trades.accept(call, CHECKOUTS[call.method], shown=True)

    async def _serve(self, call: Call) -> Response:
        outcome = await self.execution.run(call)
        return outcome.instead or answers.response(self._body(call, outcome), call.params)

    def _body(self, call: Call, outcome: Outcome) -> bytes:
        kind, name = outcome.fault_kind, answers.node_name(call.method)
        node = self.writer.node(outcome.content, call.app, call.params)
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
