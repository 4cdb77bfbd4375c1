import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sandbox.apple_iap.errors import ApiError
from sandbox.apple_iap.flaws import Claims, spoil
from sandbox.apple_iap.keys import KeyRing
from sandbox.apple_iap.signing import FORGERIES, decode, encode, sign
from sandbox.faults import Fault

PAGE = 20


@dataclass(frozen=True, kw_only=True)
class Call:
    """One admitted request; `environment` is the host's."""

    path: Mapping[str, str]
    query: Mapping[str, Sequence[str]]
    body: Claims
    environment: str
    now: datetime
    keys: KeyRing
    fault: Fault | None = None

    def sign(self, claims: Claims) -> str:
        """The claims as a JWS of the answer, spoilt as the fault says."""
        kind, params = (self.fault.kind, self.fault.params) if self.fault else ("", {})
        flaw = "foreign_ca" if kind == "nested_foreign_ca" else kind
        spoilt = spoil(claims, kind, params)
        return sign(self.keys, spoilt, flaw if flaw in FORGERIES else None)

    def one(self, name: str) -> str | None:
        """The only value of a query parameter."""
        values = self.query.get(name, ())
        return values[0] if values else None


@dataclass(frozen=True)
class Page:
    """A part of a list: what is shown, the token for the rest, and whether there is a rest."""

    shown: list[Any]
    token: str
    has_more: bool


def page(found: Sequence[Any], token: str | None, filters: object, error: int) -> Page:
    """The next twenty after `token`; a token of other filters raises ApiError(error)."""
    # Nothing is kept for a token: it says how far it got, and for which question.
    asked = hashlib.sha256(json.dumps(filters, sort_keys=True).encode()).hexdigest()[:16]
    start = 0
    if token is not None:
        try:
            start, question = json.loads(decode(token))
        except (ValueError, TypeError) as wrong:
            raise ApiError(error) from wrong
        if question != asked or not isinstance(start, int) or start < 0:
            raise ApiError(error)
    shown = list(found[start : start + PAGE])
    end = start + len(shown)
    return Page(shown, encode(json.dumps([end, asked]).encode()), end < len(found))


def number(text: str | None, error: int) -> int | None:
    """A moment in milliseconds from a query parameter; raises ApiError(error)."""
    if text is None:
        return None
    if not text.isascii() or not text.isdigit():
        raise ApiError(error)
    return int(text)
