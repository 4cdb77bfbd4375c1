"""The payload codec for the Temporal UI, whose browser calls it, and CLI. Operators only."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.responses import JSONResponse
from google.protobuf import json_format
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send
from temporalio.api.common.v1 import Payloads

from api.dependencies import Deps
from api.http.authentication import Operator
from api.http.openapi import problems
from api.http.problems import ApiProblem
from engine.encryption import PayloadDecryptionError

PREFIX = "/ops/codec"
# What the UI sends; `authorization-extras` where it passes its own user's token on.
_HEADERS = ("content-type", "x-namespace", "authorization", "authorization-extras")

# Sent by the command line (`deploy/temporal.sh`); the UI can't be made to send it.
WorkflowId = Annotated[str, Header(max_length=1000)]

router = APIRouter(prefix=PREFIX, tags=["operations"], dependencies=[Operator])
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {"payloads": {"type": "array", "items": {"type": "object"}}},
                },
                "example": {"payloads": [{"metadata": {"encoding": "…"}, "data": "…"}]},
            }
        },
    }
}


class CodecCors:
    """Middleware: only the Temporal UI's origin may call the codec from a browser."""

    def __init__(self, app: ASGIApp, origin: str | None) -> None:
        self._app = app
        self._codec = CORSMiddleware(
            app,
            allow_origins=[origin] if origin else [],
            allow_methods=["POST", "OPTIONS"],
            allow_headers=_HEADERS,
            allow_credentials=True,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        codec = scope["type"] == "http" and scope["path"].startswith(PREFIX)
        await (self._codec if codec else self._app)(scope, receive, send)


@router.post(
    "/decode", summary="Decrypt payloads", openapi_extra=_BODY, responses=problems(400, 401, 403)
)
async def decode(request: Request, dependencies: Deps) -> JSONResponse:
    """Protobuf JSON in, protobuf JSON out, as Temporal's codec protocol has it."""
    encrypted = _parse(await request.body())
    try:
        found = dependencies.codec.decode_for_display(encrypted.payloads)
    except PayloadDecryptionError as error:
        raise ApiProblem(HTTPStatus.BAD_REQUEST, "payload_not_opened", str(error)) from error
    return _render(Payloads(payloads=found))


@router.post(
    "/encode", summary="Encrypt payloads", openapi_extra=_BODY, responses=problems(400, 401, 403)
)
async def encode(
    request: Request, dependencies: Deps, x_workflow_id: WorkflowId = ""
) -> JSONResponse:
    """For what operators enter into the UI, or into the command line, which names the workflow.

    For 15 minutes the payloads are good for an update of the workflow, or without `X-Workflow-Id`
    of any.
    """
    plain = _parse(await request.body())
    found = dependencies.codec.encode_for_operator(
        plain.payloads, dependencies.temporal.namespace, x_workflow_id
    )
    return _render(Payloads(payloads=found))


def _parse(body: bytes) -> Payloads:
    try:
        return json_format.Parse(body, Payloads(), ignore_unknown_fields=True)
    except (json_format.ParseError, UnicodeDecodeError) as error:
        raise ApiProblem(
            HTTPStatus.BAD_REQUEST, "invalid_json", 'Send {"payloads": […]} in protobuf JSON.'
        ) from error


def _render(payloads: Payloads) -> JSONResponse:
    # Temporal's own protocol fixes this answer's shape.
    return JSONResponse(json_format.MessageToDict(payloads))
