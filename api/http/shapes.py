"""Refuses what is costly to parse and cannot be genuine, by counting bytes of it.

Parsers run on the event loop, and work by the piece: a body of one MiB of empty objects takes a
third of a second, however small the answer that refuses it.
"""

from http import HTTPStatus

from api.http.problems import ApiProblem
from api.http.route_classes import RouteClass

# A genuine form, or query, of a provider has about 30 fields.
MOST_FIELDS = 150
# The richest genuine body (a restore) has 50 texts; a metadata text may quote some JSON.
MOST_BRACKETS = 2_000
MOST_COMMAS = 10_000
_FORMS = (RouteClass.NOTIFY, RouteClass.RETURN)


def check_query(query: bytes) -> None:
    """Raise ApiProblem where the query has very many fields."""
    if query.count(b"&") >= MOST_FIELDS:
        raise _too_many("The query has too many fields.")


def check_body(kind: RouteClass, body: bytes) -> None:
    """Raise ApiProblem where the body has very many parts.

    An operator's is trusted: whole histories of payloads are sent to be opened.
    """
    if kind is RouteClass.OPERATOR:
        return
    if kind in _FORMS and body.count(b"&") >= MOST_FIELDS:
        raise _too_many("The form has too many fields.")
    brackets = body.count(b"{") + body.count(b"[")
    if brackets > MOST_BRACKETS or body.count(b",") > MOST_COMMAS:
        raise _too_many("The body has too many parts.")


def _too_many(detail: str) -> ApiProblem:
    return ApiProblem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", detail)
