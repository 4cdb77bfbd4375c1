"""UnionPay's settlement file: what it says that it moved on one settlement day. Pure, bounded."""

import base64
import binascii
import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate

from providers.unionpay.wire import Malformed, moment, without_year

# A day of about 110,000 lines. Nothing larger is inflated, whatever the file says of its size.
LARGEST_FILE = 8 * 1024 * 1024
LARGEST_STATEMENT = 64 * 1024 * 1024
MOST_ENTRIES = 16
_ZIP = b"PK"
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What zipfile and zlib raise over bytes that are no ZIP, or a sealed one.
_UNREADABLE = (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, ValueError)
_DETAIL = re.compile(r"INN([0-9]{6})[0-9]{2}ZM_([0-9A-Za-z]{15})")

# Columns 1 to 41 in bytes, one blank between two (official SDK: the parser of the ZM file).
_WIDTHS = (
    3, 11, 11, 6, 10, 19, 12, 4, 2, 21, 2, 32, 2, 6, 10, 13, 13, 4, 15, 2, 2, 6, 2, 4, 32, 1, 21,
    15, 1, 15, 32, 13, 13, 8, 32, 13, 13, 12, 2, 1, 131,
)  # fmt: skip
_STARTS = tuple(accumulate((width + 1 for width in _WIDTHS), initial=0))
LINE_WIDTH = _STARTS[-1] - 1
# Debit and credit are the merchant's; a zero may have no side.
_SIDED = r"[CD][0-9]{12}|0{12}"
_COLUMNS = {
    "trace number": (4, r"[0-9]{6}"),
    "time": (5, r"[0-9]{10}"),
    "card": (6, r"[0-9*]*"),
    "amount": (7, r"[0-9]{12}"),
    "query id": (10, r"[0-9]{21}"),
    "order id": (12, r"[0-9A-Za-z]*"),
    "fee": (16, _SIDED),
    "settled amount": (17, _SIDED),
    "transaction type": (20, r"[0-9]{2}"),
    "transaction sub type": (21, r"([0-9]{2})?"),
    "original query id": (27, r"([0-9]{21})?"),
    "merchant": (28, r"[0-9A-Za-z]{15}"),
}


@dataclass(frozen=True)
class StatementLine:
    """One transaction; `amount`, `fee` and `settled` are fen.

    `fee` is what the merchant paid and `settled` what it got: both negative the other way round.
    `order_id`, `sub_type` and `original_query_id` may be empty.
    """

    trace_no: str
    at: datetime
    card: str = field(repr=False)
    amount: int
    query_id: str
    order_id: str
    type: str
    sub_type: str
    original_query_id: str
    merchant_id: str
    fee: int
    settled: int


@dataclass(frozen=True)
class Statement:
    """One merchant's settlement day, `YYYYMMDD`."""

    merchant_id: str
    day: str
    lines: tuple[StatementLine, ...]


def read_statement(content: bytes) -> Statement:
    """The statement in a ZIP, or in the `fileContent` of UnionPay's answer; raises Malformed."""
    if len(content) > LARGEST_FILE:
        raise Malformed(f"the file has more than {LARGEST_FILE} bytes")
    name, detail = _detail(content if content.startswith(_ZIP) else _unpacked(content))
    day, merchant_id = f"20{name[1]}", name[2]
    begin = moment(f"{day}000000")
    if begin is None:
        raise Malformed(f"{name[0]} names no day")
    return Statement(merchant_id, day, tuple(_lines(detail, merchant_id, begin)))


def _unpacked(content: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        packed = base64.b64decode(content.strip(), validate=True)
        unpacked = inflater.decompress(packed, LARGEST_FILE + 1)
    except (binascii.Error, zlib.error) as error:
        raise Malformed("the file is neither a ZIP nor a fileContent") from error
    if len(unpacked) > LARGEST_FILE:
        raise Malformed(f"the fileContent inflates to more than {LARGEST_FILE} bytes")
    if not inflater.eof:
        raise Malformed("the fileContent ends too early")
    return unpacked


def _detail(content: bytes) -> tuple[re.Match[str], bytes]:
    """The ZM entry by its name, and its bytes."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            name, entry = _entry(archive.infolist())
            with archive.open(entry) as opened:
                # A read without a limit would inflate first, and look at the size after it.
                detail = opened.read(LARGEST_STATEMENT + 1)
    except _UNREADABLE as error:
        raise Malformed(f"the ZIP cannot be read: {error}") from error
    if len(detail) > LARGEST_STATEMENT:
        raise Malformed(f"the statement has more than {LARGEST_STATEMENT} bytes")
    return name, detail


def _entry(entries: list[zipfile.ZipInfo]) -> tuple[re.Match[str], zipfile.ZipInfo]:
    if len(entries) > MOST_ENTRIES:
        raise Malformed(f"it has more than {MOST_ENTRIES} entries")
    found = [(name, entry) for entry in entries if (name := _DETAIL.fullmatch(entry.filename))]
    if len(found) != 1 or found[0][1].compress_type not in _METHODS:
        raise Malformed(f"it has {len(found)} ZM entries, not a deflated one")
    return found[0]


def _lines(detail: bytes, merchant_id: str, day: datetime) -> Iterator[StatementLine]:
    *rows, rest = detail.split(b"\r\n")
    if rest:
        raise Malformed(f"line {len(rows) + 1}: it ends too early")
    seen: set[str] = set()
    for number, row in enumerate(rows, start=1):
        try:
            line = _line(row, merchant_id, day)
        except Malformed as error:
            raise Malformed(f"line {number}: {error}") from error
        if line.query_id in seen:
            raise Malformed(f"line {number}: query id {line.query_id} came before")
        seen.add(line.query_id)
        yield line


def _line(row: bytes, merchant_id: str, day: datetime) -> StatementLine:
    text = _columns(row)
    if text["merchant"] != merchant_id:
        raise Malformed("it is another merchant's")
    at = without_year(text["time"], day)
    if at is None:
        raise Malformed("its time is none")
    return StatementLine(
        trace_no=text["trace number"],
        at=at,
        card=text["card"],
        amount=int(text["amount"]),
        query_id=text["query id"],
        order_id=text["order id"],
        type=text["transaction type"],
        sub_type=text["transaction sub type"],
        original_query_id=text["original query id"],
        merchant_id=merchant_id,
        fee=_sided(text, "fee", positive="D"),
        settled=_sided(text, "settled amount", positive="C"),
    )


def _columns(row: bytes) -> dict[str, str]:
    """The columns that we read. Widths count bytes: GBK may stand in the others, even cut."""
    if len(row) != LINE_WIDTH:
        raise Malformed(f"it has {len(row)} bytes, not {LINE_WIDTH}")
    if any(row[start - 1 : start] != b" " for start in _STARTS[1:-1]):
        raise Malformed("a column is wider than it may be")
    text = {}
    for name, (column, shape) in _COLUMNS.items():
        start = _STARTS[column - 1]
        text[name] = row[start : start + _WIDTHS[column - 1]].decode("latin-1").strip(" ")
        if not re.fullmatch(shape, text[name]):
            raise Malformed(f"its {name} has another form")
    return text


def _sided(text: Mapping[str, str], name: str, *, positive: str) -> int:
    amount = int(text[name][-12:])
    return amount if text[name].startswith(positive) else -amount
