"""Who is asking. Each scheme looks at the request and says whose it is; the first that can, wins.

A scheme answers None where the request carries none of its credentials, and refuses where it
carries wrong ones. A signed request (RFC 9421) needs the raw body and the path: both are there.
"""

import hmac
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.dependencies import Dependencies, Deps
from api.problems import Refusal
from domain.merchant import Merchant

Scheme = Callable[[Request, Dependencies], Awaitable[Merchant | None]]

# Documents the scheme in OpenAPI; the reading is ours, so that an error has our shape.
_API_KEY = HTTPBearer(
    auto_error=False,
    scheme_name="ApiKey",
    description="`Authorization: Bearer psk_…`; made by `./paysaga keys create`.",
)
_OPERATOR = HTTPBearer(
    auto_error=False,
    scheme_name="OperatorToken",
    description="The operators' token; not asked for in sandbox mode.",
)


async def _by_api_key(request: Request, dependencies: Dependencies) -> Merchant | None:
    key = _bearer(request)
    if key is None:
        return None
    merchant = await dependencies.stores.keys.authenticate(key)
    if merchant is None:
        raise _unauthenticated("The API key is unknown or revoked.")
    return merchant


_SCHEMES: tuple[Scheme, ...] = (_by_api_key,)


async def _authenticated(
    request: Request,
    dependencies: Deps,
    _documented: Annotated[HTTPAuthorizationCredentials | None, Security(_API_KEY)],
) -> Merchant:
    for scheme in _SCHEMES:
        merchant = await scheme(request, dependencies)
        if merchant is not None:
            return merchant
    raise _unauthenticated("Send your API key: Authorization: Bearer psk_…")


async def _operator(
    request: Request,
    dependencies: Deps,
    _documented: Annotated[HTTPAuthorizationCredentials | None, Security(_OPERATOR)],
) -> None:
    settings = dependencies.settings
    if settings.is_sandbox:
        return
    if settings.operator_token_file is None:
        raise Refusal(
            HTTPStatus.FORBIDDEN,
            "operator_token_not_set",
            "No operator token is set up: name its file in PAYSAGA_OPERATOR_TOKEN_FILE.",
        )
    token = settings.operator_token_file.read_text().strip()
    given = _bearer(request)
    # An empty file would let an empty token in.
    if not token or given is None or not hmac.compare_digest(given.encode(), token.encode()):
        raise _unauthenticated("Send the operator token: Authorization: Bearer …")


AuthenticatedMerchant = Annotated[Merchant, Depends(_authenticated)]
# For a route that answers every merchant alike.
OnlyMerchants = Depends(_authenticated)
Operator = Depends(_operator)


def _bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def _unauthenticated(detail: str) -> Refusal:
    return Refusal(
        HTTPStatus.UNAUTHORIZED,
        "unauthenticated",
        detail,
        param="Authorization",
        headers={"WWW-Authenticate": 'Bearer realm="paysaga"'},
    )
