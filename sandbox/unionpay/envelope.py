# From the bytes of a request to a call that can be believed.
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

from sandbox.context import Context
from sandbox.faults import Fault
from sandbox.strictness import Strictness
from sandbox.unionpay import signing
from sandbox.unionpay.errors import AcpError, malformed, missing
from sandbox.unionpay.keys import KeyRing, Merchant
from sandbox.unionpay.operations import (
    SAFE_NAME,
    Operation,
    beijing_time,
    check,
    find_operation,
)
from sandbox.unionpay.sealing import Fields

CHARSETS = {"utf-8": "utf-8", "gbk": "gb18030"}
FORM = "application/x-www-form-urlencoded"
TIME_WINDOW = timedelta(hours=1)
DECIMAL = re.compile(r"[1-9]\d*")


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request whose signature holds, and the fault that is to happen in it."""

    merchant: Merchant
    operation: Operation
    fields: Fields
    fault: Fault | None = None

    def params(self, kind: str) -> dict[str, Any] | None:
        """The fault's parameters if it is of this kind."""
        return self.fault.params if self.fault and self.fault.kind == kind else None


def charset_of(fields: Mapping[str, str]) -> str:
    """Python's name of the request's `encoding`; unknown ones read as UTF-8 until refused."""
    return CHARSETS.get(fields.get("encoding", "utf-8").lower(), "utf-8")


def read_form(body: bytes, content_type: str) -> Fields:
    """The decoded form, every field once and none empty; raises AcpError."""
    if content_type.partition(";")[0].strip().lower() != FORM:
        raise malformed("Content-Type")
    text = body.decode("latin-1")
    first = dict(parse_qsl(text, keep_blank_values=True, encoding="latin-1"))
    try:
        pairs = parse_qsl(text, keep_blank_values=True, encoding=charset_of(first), errors="strict")
    except UnicodeDecodeError as error:
        raise malformed("encoding") from error
    fields = dict(pairs)
    for name, value in pairs:
        if not SAFE_NAME.fullmatch(name) or value == "" or value != fields[name]:
            raise malformed(name)
    return fields


def admit(endpoint: str, fields: Fields, keys: KeyRing, context: Context) -> Call:
    """Check all that the gateway checks before it looks at the transaction; raises AcpError."""
    merchant = find_merchant(fields, keys)
    _check_signature(fields, merchant)
    if "version" not in fields:
        raise missing("version")
    if fields["version"] != "5.1.0":
        raise malformed("version")
    operation = find_operation(endpoint, fields)
    check(operation, fields)
    is_named = bool({"termId", "termInfo"} & fields.keys())
    if operation.name == "barcode" and not is_named:
        _require_terminal(context.strictness)
    at = beijing_time(fields["txnTime"], "txnTime")
    if operation.name != "query" and abs(context.clock.now() - at) > TIME_WINDOW:
        raise malformed("txnTime")
    return Call(merchant=merchant, operation=operation, fields=fields)


def _require_terminal(strictness: Strictness) -> None:
    if strictness.holds("unionpay_terminal"):
        raise missing("termId")


def find_merchant(fields: Mapping[str, str], keys: KeyRing) -> Merchant:
    """The merchant that the request names; raises AcpError."""
    if "merId" not in fields:
        raise missing("merId")
    if fields["merId"] not in keys.merchants:
        raise AcpError("31", "merId")
    return keys.merchants[fields["merId"]]


def _check_signature(fields: Mapping[str, str], merchant: Merchant) -> None:
    for name in ("encoding", "signMethod", "signature"):
        if name not in fields:
            raise missing(name)
    if fields["encoding"].lower() not in CHARSETS:
        raise malformed("encoding")
    charset = charset_of(fields)
    if fields["signMethod"] != merchant.sign_method:
        raise AcpError("11", "signMethod")
    if merchant.secure_key is not None:
        method, key = merchant.sign_method, merchant.secure_key
        if not signing.is_keyed_digest(method, key, fields, charset):
            raise AcpError("11")
    else:
        _check_certificate(fields, merchant, charset)


def _check_certificate(fields: Mapping[str, str], merchant: Merchant, charset: str) -> None:
    if "certId" not in fields:
        raise missing("certId")
    # Hexadecimal serials are the classic mistake; some of them look like decimal ones.
    if not DECIMAL.fullmatch(fields["certId"]):
        raise malformed("certId")
    public_key = merchant.public_key
    if public_key is None or fields["certId"] != merchant.cert_id:
        raise AcpError("11", "certId")
    if not signing.is_signed(public_key, fields, charset):
        raise AcpError("11")
