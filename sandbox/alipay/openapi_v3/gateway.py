from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from sandbox.alipay.answers import AnswerWriter
from sandbox.alipay.envelope import Call
from sandbox.alipay.errors import GatewayError, invalid
from sandbox.alipay.execution import Execution
from sandbox.alipay.keys import App, KeyRing
from sandbox.alipay.methods import OPERATIONS
from sandbox.alipay.openapi_v3.answers import V3Answers
from sandbox.alipay.openapi_v3.authorization import (
    RequestVerifier,
    parse,
)
from sandbox.alipay.openapi_v3.content import is_encrypted, read_content
from sandbox.context import Context
from sandbox.incoming import read_incoming
from sandbox.wire_response import METHODS

NOT_FOUND = 404


class OpenApiV3:
    """Alipay's OpenAPI v3: another way to sign and to answer, over the same trades."""

    def __init__(
        self, context: Context, keys: KeyRing, execution: Execution, writer: AnswerWriter
    ) -> None:
        self._execution = execution
        self._clock = context.clock
        self._verifier = RequestVerifier(context, keys)
        self._answers = V3Answers(context.clock, writer)

    def router(self) -> APIRouter:
        """An address for each method, and the refusal of all others."""
        router = APIRouter(tags=["alipay"])
        for method in OPERATIONS:
            path = f"/v3/{method.replace('.', '/')}"
            router.add_api_route(path, self.answer, methods=["POST"], response_model=None)
            router.add_api_route(path, self._refuse_verb, methods=METHODS, include_in_schema=False)
        for path in ("/v3/alipay", "/v3/alipay/{rest:path}"):
            router.add_api_route(path, self._refuse_path, methods=METHODS, include_in_schema=False)
        return router

    async def answer(self, request: Request) -> Response:
        """One call; its path names the method."""
        incoming = await read_incoming(request)
        app: App | None = None
        try:
            credentials = parse(incoming.headers.get("authorization", ""))
            app = self._verifier.application(credentials)
            self._verifier.verify(incoming, credentials, app)
            content = read_content(incoming, app)
        except GatewayError as error:
            return self._answers.refused(error.content(), app if error.signed else None)
        method = request.scope["path"].removeprefix("/v3/").replace("/", ".")
        outcome = await self._execution.run(self._call(method, app, content))
        if outcome.instead is not None:
            return outcome.instead
        return self._answers.executed(
            outcome.content, app, outcome.fault_kind, encrypted=is_encrypted(incoming)
        )

    def _call(self, method: str, app: App, content: dict[str, Any]) -> Call:
        # The rules read the address where `gateway.do` has it: among the common parameters.
        params = {"notify_url": content["notify_url"]} if content.get("notify_url") else {}
        return Call(app=app, method=method, params=params, content=content, at=self._clock.now())

    async def _refuse_verb(self) -> Response:
        error = invalid("invalid-http-method", "不支持的HTTP方法")
        return self._answers.refused(error.content(), None)

    async def _refuse_path(self) -> Response:
        error = invalid("invalid-method", "不存在的方法名")
        return self._answers.refused(error.content(), None, NOT_FOUND)
