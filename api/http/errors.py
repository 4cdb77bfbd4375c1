"""The one place where an error becomes an answer.

Everything that the API raises on purpose is a `ApiProblem` or a `PaymentError`; the web framework's
own errors and the unforeseen get the same shape.
"""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from temporalio.service import RPCError, RPCStatusCode

from api.http import request_context
from api.http.problems import ApiProblem, ProviderMessage
from api.http.text import printable
from api.schemas import UNKNOWN_FIELD
from api.workflow_calls import NoAnswerYet
from domain.errors import (
    Conflict,
    InvalidRequest,
    InvalidSignature,
    NotFound,
    OutcomeUnknown,
    PaymentError,
    ProviderError,
    ProviderRejected,
    ProviderUnavailable,
    ReportMismatch,
)
from storage.database import DatabaseUnavailable

_log = logging.getLogger(__name__)

_STATUS: Mapping[type[PaymentError], HTTPStatus] = {
    InvalidRequest: HTTPStatus.UNPROCESSABLE_ENTITY,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    ReportMismatch: HTTPStatus.CONFLICT,
    ProviderRejected: HTTPStatus.UNPROCESSABLE_ENTITY,
    ProviderUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    OutcomeUnknown: HTTPStatus.SERVICE_UNAVAILABLE,
    InvalidSignature: HTTPStatus.BAD_REQUEST,
    DatabaseUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
_RETRYABLE = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
# Temporal has no error type of its own for `history.maxTotalUpdates`.
_TOO_MANY_UPDATES = "limit on the total number of distinct updates"
_NOT_JSON = ("invalid_json", "The body is not JSON in UTF-8.")
_HTTP_CODES = {
    HTTPStatus.BAD_REQUEST: _NOT_JSON,
    HTTPStatus.NOT_FOUND: ("route_not_found", "There is no such route; see /docs."),
    HTTPStatus.METHOD_NOT_ALLOWED: ("method_not_allowed", "The route does not take this method."),
}


def install(app: FastAPI) -> None:
    """Give every error of this application the one shape."""

    @app.exception_handler(ApiProblem)
    async def _problem(_request: Request, error: ApiProblem) -> Response:
        return error.response()

    @app.exception_handler(PaymentError)
    async def _payment_error(request: Request, error: PaymentError) -> Response:
        return problem_of(error, request).response()

    @app.exception_handler(RPCError)
    async def _temporal_error(_request: Request, error: RPCError) -> Response:
        return temporal_problem(error).response()

    @app.exception_handler(NoAnswerYet)
    async def _no_answer(_request: Request, _error: NoAnswerYet) -> Response:
        return unavailable().response()

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> Response:
        return validation_problem(error.errors()).response()

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> Response:
        code, detail = _HTTP_CODES.get(
            HTTPStatus(error.status_code), ("http_error", str(error.detail))
        )
        headers = dict(error.headers) if error.headers else None
        return ApiProblem(error.status_code, code, detail, headers=headers).response()

    # The supervisor boundary: whatever else goes wrong still answers in our shape. The framework
    # logs the traceback.
    @app.exception_handler(Exception)
    async def _unforeseen(request: Request, _error: Exception) -> Response:
        return ApiProblem(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "internal_error",
            "Something went wrong on our side. Sending the same request again is safe.",
            retryable=True,
            # This answer is made outside of the middleware that gives the others theirs.
            headers={request_context.HEADER: request.state.request_id},
        ).response()


def problem_of(error: PaymentError, request: Request) -> ApiProblem:
    """The answer to a domain error; `request.state.record_id` names the record, where known."""
    status = next(
        (status for kind, status in _STATUS.items() if isinstance(error, kind)),
        HTTPStatus.INTERNAL_SERVER_ERROR,
    )
    provider_message = None
    if isinstance(error, ProviderError):
        provider_message = ProviderMessage(code=error.provider_code, message=error.provider_message)
    return ApiProblem(
        status,
        error.code,
        error.message,
        param=error.param,
        retryable=status in _RETRYABLE,
        record_id=getattr(request.state, "record_id", None),
        provider=provider_message,
    )


def temporal_problem(error: RPCError) -> ApiProblem:
    """The answer where Temporal cannot be reached, is busy, or takes no more updates."""
    _log.warning("temporal refused a call: %s %s", error.status.name, error.message)
    if error.status is RPCStatusCode.RESOURCE_EXHAUSTED:
        return ApiProblem(
            HTTPStatus.TOO_MANY_REQUESTS,
            "too_many_requests",
            "Too many requests for this record at once. Send the same request again in a second.",
            retryable=True,
            headers={"Retry-After": "1"},
        )
    if error.status is RPCStatusCode.FAILED_PRECONDITION and _TOO_MANY_UPDATES in error.message:
        return ApiProblem(
            HTTPStatus.CONFLICT,
            "command_limit_reached",
            "This record has taken as many commands as its workflow can. It goes on by itself:"
            " read it by GET. An operator can raise the limit.",
        )
    return unavailable()


def unavailable() -> ApiProblem:
    """The answer where the workflow engine is down: nothing is lost by sending again."""
    return ApiProblem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "temporal_unavailable",
        "The workflow engine cannot be reached. Sending the same request again is safe.",
        retryable=True,
        headers={"Retry-After": "2"},
    )


def validation_problem(errors: Sequence[Any]) -> ApiProblem:
    """The answer to the first thing that is wrong with a request."""
    first = errors[0]
    if first["type"] == "json_invalid":
        return ApiProblem(HTTPStatus.BAD_REQUEST, *_NOT_JSON)
    where, *path = first["loc"]
    if first["type"] == UNKNOWN_FIELD:
        path.append(first["ctx"]["field"])
    param = printable(".".join(str(part) for part in path)) or str(where)
    return ApiProblem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "invalid_request",
        f"{param}: {first['msg']}",
        param=param,
    )
