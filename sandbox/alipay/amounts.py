import re
from decimal import Decimal

from sandbox.alipay.errors import invalid_parameter

YUAN = re.compile(r"\d{1,9}(\.\d{1,2})?")
MOST_YUAN = 100_000_000


def fen(value: object, field: str) -> int:
    """Read a sum in yuan ("20", "20.0", "20.00") as fen; raises GatewayError."""
    text = str(value) if isinstance(value, str | int | float) else ""
    if isinstance(value, bool) or not YUAN.fullmatch(text):
        raise invalid_parameter(f"{field}格式错误")
    yuan = Decimal(text)
    if not Decimal("0.01") <= yuan <= MOST_YUAN:
        raise invalid_parameter(f"{field}超出范围")
    return int(yuan * 100)


def yuan(amount: int) -> str:
    """Write fen as yuan with two places."""
    return f"{amount // 100}.{amount % 100:02d}"
