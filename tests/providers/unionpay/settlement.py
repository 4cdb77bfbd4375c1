"""Settlement files as UnionPay writes them, made for a test."""

import base64
import io
import zipfile
import zlib
from collections.abc import Mapping
from types import MappingProxyType

MER_ID = "802310048993424"
NAME = f"INN15090588ZM_{MER_ID}"
WIDTHS = (
    *(3, 11, 11, 6, 10, 19, 12, 4, 2, 21, 2, 32, 2, 6, 10, 13, 13, 4, 15, 2, 2, 6, 2, 4, 32, 1, 21),
    *(15, 1, 15, 32, 13, 13, 8, 32, 13, 13, 12, 2, 1, 131),
)


def query_id(number: int) -> str:
    return f"201509051200{number:08d}8"


def row(number: int = 1, amount: int = 1000, **change: str) -> bytes:
    """A consumption without a fee; `c12="…"` puts another text into column 12, GBK."""
    columns = {
        "c1": "S56",
        "c4": f"{number:06d}",
        "c5": "0905120000",
        "c6": "622609******0048",
        "c7": f"{amount:012d}",
        "c10": query_id(number),
        "c12": f"{number:032x}",
        "c16": f"D{0:012d}",
        "c17": f"C{amount:012d}",
        "c20": "01",
        "c22": "000201",
        "c28": MER_ID,
    } | change
    cells = [columns.get(f"c{column}", "").encode("gbk") for column in range(1, 42)]
    return b" ".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True))


def detail(*rows: bytes) -> bytes:
    return b"".join(row + b"\r\n" for row in rows)


def zipped(
    content: bytes, name: str = NAME, others: Mapping[str, bytes] = MappingProxyType({})
) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
        for other, text in others.items():
            archive.writestr(other, text)
    return held.getvalue()


def file_content(content: bytes) -> bytes:
    return base64.b64encode(zlib.compress(content))
