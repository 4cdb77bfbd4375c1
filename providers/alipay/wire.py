"""An answer's raw text taken apart without touching it: the signature covers exact characters.

Re-written JSON never verifies, and what is verified must be what is read: duplicate keys are
refused anywhere in the text (sheet 1.4).
"""

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from providers.kit.fields import whole_number

ERROR_NODE = "error_response"
_SPACE = re.compile(r"[ \t\n\r]*")


@dataclass(frozen=True)
class Envelope:
    """`text` is the node exactly as received, quotes included, and `value` what it says."""

    text: str
    value: Any
    signature: str | None
    cert_sn: str | None


def open_envelope(text: str, method: str) -> Envelope:
    """Find the method's node (or the error node) and its signature; raises ValueError."""
    try:
        members = _members(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    names = [name for name in (node_name(method), ERROR_NODE) if name in members]
    if len(names) != 1:
        raise ValueError("not exactly one answer")
    node, value = members[names[0]]
    return Envelope(node, value, _text(members, "sign"), _text(members, "alipay_cert_sn"))


def node_name(method: str) -> str:
    """Where the answer to a method stands."""
    return f"{method.replace('.', '_')}_response"


def read_object(text: str) -> dict[str, Any]:
    """A JSON object without duplicate keys; raises ValueError."""
    try:
        value = _DECODER.decode(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004 - a text of another kind is a bad value
    return value


def _members(text: str) -> dict[str, tuple[str, Any]]:
    """Each member of the top-level object with its exact text."""
    members: dict[str, tuple[str, Any]] = {}
    at = _expect(text, 0, "{")
    while True:
        key, end = _DECODER.raw_decode(text, _skip(text, at))
        if not isinstance(key, str) or key in members:
            raise ValueError("a key is no text, or stands twice")
        start = _skip(text, _expect(text, end, ":"))
        value, end = _DECODER.raw_decode(text, start)
        members[key] = (text[start:end], value)
        at = _skip(text, end)
        if text[at : at + 1] != ",":
            break
        at += 1
    if _skip(text, _expect(text, at, "}")) != len(text):
        raise ValueError("more than one object")
    return members


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _expect(text: str, at: int, mark: str) -> int:
    at = _skip(text, at)
    if text[at : at + 1] != mark:
        raise ValueError(f"{mark!r} expected")
    return at + 1


def _text(members: dict[str, tuple[str, Any]], name: str) -> str | None:
    value = members.get(name, ("", None))[1]
    return value if isinstance(value, str) and value else None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_float=Decimal,
    parse_int=whole_number,
)
