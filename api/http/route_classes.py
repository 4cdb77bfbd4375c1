"""Every route of the API with its class: who may call it, and what may be sent.

Limits go by the exact route. A request that matches none is a visitor's, and is answered unread.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from starlette.routing import compile_path

LARGEST_BODY = 64 * 1024
# Whole histories are opened for the Temporal UI, and a payload may have 2 MiB.
LARGEST_CODEC_BODY = 8 * 1024 * 1024
# An app may bring every transaction that it holds, each with its three certificates.
LARGEST_RESTORE_BODY = 1024 * 1024


class RouteClass(StrEnum):
    """The classes of requests that limits are set for."""

    CREATE = "create"  # a merchant's; starts a workflow and calls a provider
    COMMAND = "command"  # a merchant's; wakes a workflow or calls a provider
    READ = "read"  # a merchant's; reads the database
    OPERATOR = "operator"
    NOTIFY = "notify"  # a provider's, without a credential
    RETURN = "return"  # a payer's browser, back from a provider
    VISIT = "visit"  # anybody's
    PROBE = "probe"  # anybody's; delayed, not rejected: an orchestrator kills what does not answer
    UNMATCHED = "unmatched"  # anybody's; no route of the table: not found, or a page's own file


MERCHANTS_CLASSES = (RouteClass.CREATE, RouteClass.COMMAND, RouteClass.READ)
_SIZES = {
    "/ops/codec/decode": LARGEST_CODEC_BODY,
    "/ops/codec/encode": LARGEST_CODEC_BODY,
    "/v1/restore": LARGEST_RESTORE_BODY,
}
_ROUTES = {
    RouteClass.CREATE: """
        POST /v1/payments
        POST /v1/payments/{payment_id}/refunds
    """,
    RouteClass.COMMAND: """
        POST /v1/payments/{payment_id}/cancel
        POST /v1/payments/{payment_id}/sync
        POST /v1/payments/{payment_id}/verify
        POST /v1/payments/{payment_id}/consumption
        POST /v1/restore
    """,
    RouteClass.READ: """
        GET /v1/payments
        GET /v1/payments/{payment_id}
        GET /v1/payments/{payment_id}/refunds
        GET /v1/refunds/{refund_id}
        GET /v1/events
        GET /v1/products
    """,
    RouteClass.OPERATOR: """
        POST /ops/codec/decode
        POST /ops/codec/encode
        POST /ops/stores/{provider}/{account}/catch-up
        GET /metrics
    """,
    RouteClass.NOTIFY: "POST /notify/{provider}/{account}",
    RouteClass.VISIT: """
        GET /openapi.json
        GET /docs
    """,
    RouteClass.RETURN: """
        GET /return/{provider}/{account}
        POST /return/{provider}/{account}
    """,
    RouteClass.PROBE: """
        GET /healthz
        GET /readyz
    """,
}


@dataclass(frozen=True)
class Route:
    """One route. `largest_body` in bytes."""

    path: str
    route_class: RouteClass
    largest_body: int


@dataclass(frozen=True)
class Match:
    """A request's route, with the parameters of its path."""

    route: Route
    parameters: Mapping[str, str]


UNMATCHED = Match(Route("none", RouteClass.UNMATCHED, largest_body=0), {})
ROUTES: Mapping[tuple[str, str], Route] = MappingProxyType(
    {
        (method, path): Route(path, route_class, _SIZES.get(path, LARGEST_BODY))
        for route_class, lines in _ROUTES.items()
        for method, path in (line.split() for line in lines.strip().splitlines())
    }
)
_PATTERNS = [(method, compile_path(path)[0], route) for (method, path), route in ROUTES.items()]


def find_route(method: str, path: str) -> Match | None:
    """Return the route of a request by its method and decoded path, or None."""
    exact = ROUTES.get((method, path))
    if exact is not None:
        return Match(exact, {})
    for known, pattern, route in _PATTERNS:
        if known == method and (match := pattern.match(path)):
            return Match(route, match.groupdict())
    return None
