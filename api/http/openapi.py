"""The OpenAPI document: texts, examples, and one shape for every error."""

import json
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from starlette.routing import Route

from api.http.problems import PROBLEM_MEDIA_TYPE, Problem
from api.http.route_classes import ROUTES

TITLE = "Paysaga"
SUMMARY = "Payments as durable workflows."
DESCRIPTION = """
Create a payment with one call, give its `checkout` to the payer, and receive the final status by
webhook.

* **Amounts** are whole minor units (`1999` is ¥19.99), **times** RFC 3339 in UTC.
* **Repeat anything.** The same `Idempotency-Key` and body is the same payment, in parallel and for
  ever; another body under the same key answers 409.
* **Every answer** carries `result_code` (0 is good), `result_msg`, `err_detail` and `id`. An error
  is `application/problem+json` with a stable `code`, the `param` to mend, and `retryable`.
* **429** means that a limit is reached: send the same request again after `Retry-After` seconds.
* **202** means that the payment exists and its provider has not answered yet: repeat the request.
"""
TAGS = [
    {"name": "payments", "description": "Money from a payer to you."},
    {"name": "purchases", "description": "What a store sells for you inside an app."},
    {"name": "refunds", "description": "Money back, whole or in parts."},
    {"name": "events", "description": "What your webhook was sent, and whether it arrived."},
    {"name": "providers", "description": "Called by the payment providers, not by you."},
    {"name": "operations", "description": "For those who run Paysaga."},
]
PAYMENT_EXAMPLES: dict[str, Any] = {
    "alipay_page": {
        "summary": "Alipay, desktop browser",
        "value": {
            "order_no": "ORDER-20261122-0001",
            "provider": "alipay",
            "channel": "page",
            "amount": 1999,
            "currency": "CNY",
            "subject": "Two tickets",
            "return_url": "https://shop.example/thanks",
        },
    },
    "wechatpay_qr": {
        "summary": "WeChat Pay, QR code",
        "value": {
            "order_no": "ORDER-20261122-0002",
            "provider": "wechatpay",
            "channel": "qr",
            "amount": 500,
            "subject": "A coffee",
            "expires_in": 900,
            "metadata": {"table": "7"},
        },
    },
    "wechatpay_jsapi": {
        "summary": "WeChat Pay, inside WeChat",
        "value": {
            "order_no": "ORDER-20261122-0003",
            "provider": "wechatpay",
            "channel": "jsapi",
            "amount": 500,
            "subject": "A coffee",
            "payer": {"open_id": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"},
        },
    },
    "apple_iap": {
        "summary": "Apple, in-app purchase",
        "value": {
            "order_no": "ORDER-20261122-0004",
            "provider": "apple_iap",
            "channel": "iap",
            "product": "com.paysaga.tea.coins",
            "quantity": 2,
        },
    },
}
_MEANINGS = {
    400: ("The request cannot be read.", "invalid_json", "The body is not JSON in UTF-8."),
    401: ("Not authenticated.", "unauthenticated", "The API key is unknown or revoked."),
    403: ("Not set up.", "operator_token_not_set", "No operator token is set up."),
    404: ("No such record of yours.", "not_found", "No such payment."),
    409: (
        "The key was used with another body, or the record's state forbids it.",
        "idempotency_key_reused",
        "This Idempotency-Key was used with another request.",
    ),
    413: ("Too large.", "body_too_large", "The body may have at most 65536 bytes."),
    422: (
        "A field is wrong, or the provider rejected it (`provider_rejected`, with its own text).",
        "invalid_request",
        "amount: Input should be greater than 0",
    ),
    429: (
        "A limit is reached. Send the same request again after `Retry-After`.",
        "rate_limit_exceeded",
        "More than 5 requests a second of the kind `create`. Send this one again later.",
    ),
    503: (
        "Something of ours is down; nothing is lost by sending the same request again.",
        "temporal_unavailable",
        "The workflow engine cannot be reached. Sending the same request again is safe.",
    ),
}
_RETRY_AFTER = {
    "Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may answer with these errors."""
    return {status: _documented(status) for status in statuses}


def _documented(status: int) -> dict[str, Any]:
    description, code, detail = _MEANINGS[status]
    title = code.replace("_", " ").capitalize()
    example = Problem(
        result_code=status,
        result_msg=title,
        err_detail=detail,
        type=f"urn:paysaga:problem:{code}",
        title=title,
        status=status,
        detail=detail,
        code=code,
        retryable=status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE),
    )
    headers = {"headers": _RETRY_AFTER} if status == HTTPStatus.TOO_MANY_REQUESTS else {}
    return headers | {
        "description": description,
        "content": {
            PROBLEM_MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "example": example.model_dump(mode="json"),
            }
        },
    }


def install(app: FastAPI) -> None:
    """Make the document once, with the schema that every error refers to."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title=app.title,
                version=app.version,
                summary=app.summary,
                description=app.description,
                routes=app.routes,
                tags=app.openapi_tags,
            )
            schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas = made.setdefault("components", {}).setdefault("schemas", {})
            schemas.update(schema.pop("$defs", {}))
            schemas["Problem"] = schema
            _one_error_shape(made)
            _one_limit_for_all(made)
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign] # the framework's own way to do it
    rendered: list[bytes] = []

    async def show(_request: Request) -> Response:
        # Some hundred KB: rendering costs ten times what sending them does.
        if not rendered:
            rendered.append(json.dumps(app.openapi(), ensure_ascii=False).encode())
        return Response(rendered[0], media_type="application/json")

    routes = app.router.routes
    [own] = [each for each in routes if getattr(each, "path", None) == app.openapi_url]
    routes[routes.index(own)] = Route(app.openapi_url or "", show, include_in_schema=False)


def _one_error_shape(document: dict[str, Any]) -> None:
    """The framework documents its own 422 where a route names none; ours answers instead."""
    for path in document["paths"].values():
        for operation in path.values():
            default = operation["responses"].get("422", {}).get("content", {})
            if "application/json" in default:
                operation["responses"]["422"] = _documented(422)
    for unused in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(unused, None)


def _one_limit_for_all(document: dict[str, Any]) -> None:
    """The limits answer in place of every route."""
    for method, path in ROUTES:
        operation = document["paths"].get(path, {}).get(method.lower())
        if operation:
            operation["responses"]["429"] = _documented(HTTPStatus.TOO_MANY_REQUESTS)
