"""The texts on UnionPay's wire: two ways to write fields down, and its clock in Beijing."""

import re
from collections.abc import Mapping
from datetime import MAXYEAR, MINYEAR, datetime, timedelta
from urllib.parse import parse_qsl, urlencode

from providers.kit.beijing import BEIJING, in_beijing
from providers.kit.fields import UNDECODABLE
from providers.unionpay.signing import awaited_after, codec_of

# A genuine message with its certificate has about 3 kB.
LARGEST_MESSAGE = 16 * 1024
_STAMP = "%Y%m%d%H%M%S"
_STAMP_LENGTH = 14
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class Malformed(ValueError):  # noqa: N818 - the name says what it is
    """Bytes that are not the documented message."""


def form(fields: Mapping[str, str]) -> bytes:
    """What we send: percent-encoded, as any form."""
    return urlencode(fields).encode("ascii")


def parse_form(body: bytes) -> dict[str, str]:
    """The fields of a notification, in the charset that it names; raises Malformed."""
    text = _decoded(body)
    try:
        named = dict(parse_qsl(text, encoding="latin-1"))
        pairs = parse_qsl(
            text,
            keep_blank_values=True,
            strict_parsing=True,
            encoding=codec_of(named),
            errors=UNDECODABLE,
        )
    except ValueError as error:
        raise Malformed("the message is no form") from error
    return _unique(pairs)


def parse_answer(body: bytes) -> dict[str, str]:
    """The fields of a synchronous answer, which is not percent-encoded; raises Malformed.

    A form parser would turn the `+` of the signature into blanks. Inside of `{…}` or `[…]` an `&`
    belongs to the value; they do not nest (official SDK: parseQString).
    """
    text = _decoded(body).strip("\n")
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1]
    return _unique(_pairs(text))


def _pairs(text: str) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    name, part, awaited = "", "", ""
    in_name = True
    for character in f"{text}&":
        if in_name and character == "=":
            name, part, in_name = part, "", False
        elif not in_name and not awaited and character == "&":
            pairs.append((name, part))
            part, in_name = "", True
        else:
            part += character
            if not in_name:
                awaited = awaited_after(awaited, character)
    if part:
        raise Malformed("the answer ends inside a field")
    return pairs


def _decoded(body: bytes) -> str:
    if len(body) > LARGEST_MESSAGE:
        raise Malformed("the message is too large")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        # Read in another charset, a byte of a character may pass for a bracket.
        raise Malformed("the message is not UTF-8") from error


def _unique(pairs: list[tuple[str, str]]) -> dict[str, str]:
    fields = dict(pairs)
    if len(fields) != len(pairs) or not all(_NAME.fullmatch(name) for name in fields):
        raise Malformed("a field comes twice, or has no name")
    return fields


def stamp(moment: datetime) -> str:
    """`YYYYMMDDhhmmss` in Beijing, whatever the host's zone."""
    return in_beijing(moment).strftime(_STAMP)


def moment(text: str) -> datetime | None:
    """The moment of a stamp; None where it is none.

    Nor are the calendar's first and last year: in UTC, or on its settlement day, such a moment may
    not exist.
    """
    if len(text) != _STAMP_LENGTH or not (text.isascii() and text.isdigit()):
        return None
    try:
        found = datetime.strptime(text, _STAMP).replace(tzinfo=BEIJING)
    except ValueError:
        return None
    return found if MINYEAR < found.year < MAXYEAR else None


def without_year(text: str, near: datetime) -> datetime | None:
    """The moment of `MMDDhhmmss`: of the years around, the one nearest to `near`."""
    years = (near.year - 1, near.year, near.year + 1)
    found = [at for year in years if (at := moment(f"{year}{text}")) is not None]
    return min(found, key=lambda at: abs(at - near), default=None)


def settlement_day(at: datetime) -> str:
    """`YYYYMMDD` of the settlement day, which begins at 23:00 of the day before."""
    return f"{in_beijing(at) + timedelta(hours=1):%Y%m%d}"
