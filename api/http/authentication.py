"""Whose request it is, by its head alone: no byte of a body is read for a stranger."""

import hmac
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.dependencies import Dependencies
from api.http.admission import Visitors
from api.http.failed_authentication import FailedAuthentication, described
from api.http.key_cache import KeyCache
from api.http.problems import ApiProblem
from domain.merchant import Merchant

# Documents the scheme in OpenAPI; the reading is ours, so that an error has our shape.
_API_KEY = HTTPBearer(
    auto_error=False,
    scheme_name="ApiKey",
    description="`Authorization: Bearer psk_…`; made by `./paysaga keys create`.",
)
_OPERATOR = HTTPBearer(
    auto_error=False,
    scheme_name="OperatorToken",
    description="The operators' token; not required in sandbox mode.",
)


class Authentication:
    """Authenticates merchants and operators; who fails is slowed down by its address."""

    def __init__(self, visitors: Visitors, failures: FailedAuthentication) -> None:
        self._keys = KeyCache()
        self._visitors = visitors
        self._failures = failures

    async def authenticate_merchant(self, request: Request, dependencies: Dependencies) -> None:
        """Put the merchant into the request's state.

        Raises:
            ApiProblem: there is no key, or it is unknown or revoked.
            NoPlace: too many unknown callers, or too many at this address.
        """
        key = _bearer(request)
        merchant = self._keys.fresh(key) if key else None
        if merchant is None:
            merchant = await self._find(request, dependencies, key)
        request.state.merchant = merchant

    async def authenticate_operator(self, request: Request, dependencies: Dependencies) -> None:
        """Return where the operator token is right or, in sandbox mode, not required.

        Raises:
            ApiProblem: it is wrong, or none is set up.
            NoPlace: as for a merchant.
        """
        request.state.is_operator = _is_operator(request, dependencies)
        if not request.state.is_operator:
            async with (
                self._visitors.visit(request.state.peer) as visit,
                self._visitors.serve(visit),
            ):
                await self._failed(request, "operator_token", "operator token")
            raise _unauthenticated("Send the operator token: Authorization: Bearer …")

    async def _find(
        self, request: Request, dependencies: Dependencies, key: str | None
    ) -> Merchant:
        lookup = dependencies.stores.keys.authenticate
        # Strangers at the same address must not slow down a merchant who was here before.
        if key and self._keys.is_familiar(key):
            merchant = await self._keys.find(key, lookup)
            if merchant is not None:
                return merchant
        async with self._visitors.visit(request.state.peer) as visit, self._visitors.serve(visit):
            merchant = await self._keys.find(key, lookup) if key else None
            if merchant is not None:
                return merchant
            await self._failed(request, "api_key", described(key))
        if key is None:
            raise _unauthenticated("Send your API key: Authorization: Bearer psk_…")
        raise _unauthenticated("The API key is unknown or revoked.")

    async def _failed(self, request: Request, credential: str, presented: str) -> None:
        peer: str = request.state.peer
        await self._visitors.failed(peer)
        await self._failures.note(peer, credential, presented)


async def _authenticated(
    request: Request,
    _documented: Annotated[HTTPAuthorizationCredentials | None, Security(_API_KEY)],
) -> Merchant:
    # Fails closed: a route that the limits do not know as a merchant's has no merchant.
    merchant: Merchant | None = getattr(request.state, "merchant", None)
    if merchant is None:
        raise _unauthenticated("Send your API key: Authorization: Bearer psk_…")
    return merchant


async def _operator(
    request: Request,
    _documented: Annotated[HTTPAuthorizationCredentials | None, Security(_OPERATOR)],
) -> None:
    if not getattr(request.state, "is_operator", False):
        raise _unauthenticated("Send the operator token: Authorization: Bearer …")


AuthenticatedMerchant = Annotated[Merchant, Depends(_authenticated)]
# For a route that answers every merchant alike.
OnlyMerchants = Depends(_authenticated)
Operator = Depends(_operator)


def _is_operator(request: Request, dependencies: Dependencies) -> bool:
    settings = dependencies.settings
    if settings.is_sandbox:
        return True
    if settings.operator_token_file is None:
        raise ApiProblem(
            HTTPStatus.FORBIDDEN,
            "operator_token_not_set",
            "No operator token is set up: name its file in PAYSAGA_OPERATOR_TOKEN_FILE.",
        )
    token = settings.operator_token_file.read_text().strip()
    given = _bearer(request)
    # An empty file would let an empty token in.
    return bool(token and given and hmac.compare_digest(given.encode(), token.encode()))


def _bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def _unauthenticated(detail: str) -> ApiProblem:
    return ApiProblem(
        HTTPStatus.UNAUTHORIZED,
        "unauthenticated",
        detail,
        param="Authorization",
        headers={"WWW-Authenticate": 'Bearer realm="paysaga"'},
    )
