# Which requests there are, and what each must look like (ACP 5.1.0).
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sandbox.clock import BEIJING
from sandbox.unionpay.errors import AcpError, malformed, missing

TIME = re.compile(r"\d{14}")
AMOUNT = re.compile(r"[1-9]\d{0,11}")
URL = re.compile(r"(?=.{1,256}$)https?://[^\s/?#]+[^\s]*")
QUERY_ID = re.compile(r"\d{21}")
ORDER_ID = re.compile(r"[0-9A-Za-z]{8,40}")
PAIR = r"[A-Za-z][A-Za-z0-9]*=[^&{}]*"
GROUP = re.compile(rf"(?s)(?=.{{1,2048}}$)\{{{PAIR}(&{PAIR})*\}}")
SAFE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*")


@dataclass(frozen=True)
class Rule:
    """What one field's whole value must match."""

    name: str
    pattern: re.Pattern[str]
    required: bool = True


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One kind of request; `fault` is the name that faults are scripted for.

    Without `biz_types` it may name any product.
    """

    name: str
    endpoint: str
    txn_type: str
    txn_sub_type: str
    biz_types: tuple[str, ...]
    rules: tuple[Rule, ...]
    fault: str


def _one_of(*values: str) -> re.Pattern[str]:
    return re.compile("|".join(values))


COMMON = (
    Rule("accessType", _one_of("0")),
    Rule("orderId", ORDER_ID),
    Rule("txnTime", TIME),
    Rule("reqReserved", re.compile(r"(?s).{1,1024}"), required=False),
    Rule("reserved", GROUP, required=False),
)
MONEY = (
    *COMMON,
    Rule("txnAmt", AMOUNT),
    Rule("backUrl", URL),
    Rule("channelType", _one_of("07", "08")),
)
CONSUME = (
    *MONEY,
    Rule("currencyCode", _one_of("156")),
    Rule("payTimeout", TIME, required=False),
    Rule("riskRateInfo", GROUP, required=False),
    Rule("termInfo", GROUP, required=False),
    Rule("termId", re.compile(r"[0-9A-Za-z]{1,8}"), required=False),
    Rule("orderDesc", re.compile(r"(?s).{1,32}"), required=False),
    Rule("accType", _one_of("01", "02", "03"), required=False),
    Rule("issInsCode", re.compile(r"[0-9A-Za-z]{1,20}"), required=False),
    Rule("customerIp", re.compile(r"[0-9A-Fa-f:.]{2,40}"), required=False),
    Rule("customerInfo", re.compile(r"[0-9A-Za-z+/]{4,2048}={0,2}"), required=False),
    Rule("encryptCertId", re.compile(r"[1-9][0-9]{0,19}"), required=False),
)
BACK = (
    *MONEY,
    Rule("currencyCode", _one_of("156"), required=False),
    Rule("origQryId", QUERY_ID, required=False),
    Rule("origOrderId", ORDER_ID, required=False),
    Rule("origTxnTime", TIME, required=False),
)
QR_PRODUCT, GATEWAY_PRODUCT = "000000", "000201"

# What the gateway offers to merchants with the permission for it.
OTHER_ENDPOINTS = ("batchTrans.do", "cardTransReq.do", "order.do")
# Pre-authorisation, loading, collecting, paying out, bills, batches, bindings and card services.
OTHER_TYPES = frozenset(f"{n:02}" for n in (2, 3, 5, 11, 12, 13, 21, 22, 32, 33, *range(72, 80)))
OTHER_KINDS = (("01", "03"), ("00", "02"))

OPERATIONS = (
    Operation(
        name="app",
        endpoint="appTransReq.do",
        txn_type="01",
        txn_sub_type="01",
        biz_types=(GATEWAY_PRODUCT,),
        rules=CONSUME,
        fault="create",
    ),
    Operation(
        name="front",
        endpoint="frontTransReq.do",
        txn_type="01",
        txn_sub_type="01",
        biz_types=(GATEWAY_PRODUCT, "000202"),
        rules=(*CONSUME, Rule("frontUrl", URL)),
        fault="create",
    ),
    Operation(
        name="qr",
        endpoint="backTransReq.do",
        txn_type="01",
        txn_sub_type="07",
        biz_types=(QR_PRODUCT,),
        rules=CONSUME,
        fault="create",
    ),
    Operation(
        name="barcode",
        endpoint="backTransReq.do",
        txn_type="01",
        txn_sub_type="06",
        biz_types=(QR_PRODUCT,),
        rules=(*CONSUME, Rule("qrNo", re.compile(r"62\d{17}"))),
        fault="create",
    ),
    Operation(
        name="refund",
        endpoint="backTransReq.do",
        txn_type="04",
        txn_sub_type="00",
        biz_types=(QR_PRODUCT, GATEWAY_PRODUCT, "000202"),
        rules=BACK,
        fault="refund",
    ),
    Operation(
        name="undo",
        endpoint="backTransReq.do",
        txn_type="31",
        txn_sub_type="00",
        biz_types=(QR_PRODUCT, GATEWAY_PRODUCT, "000202"),
        rules=BACK,
        fault="cancel",
    ),
    Operation(
        name="reversal",
        endpoint="backTransReq.do",
        txn_type="99",
        txn_sub_type="01",
        biz_types=(QR_PRODUCT,),
        rules=(*COMMON, Rule("channelType", _one_of("07", "08"))),
        fault="cancel",
    ),
    Operation(
        name="encryption_certificate",
        endpoint="backTransReq.do",
        txn_type="95",
        txn_sub_type="00",
        biz_types=(QR_PRODUCT,),
        rules=(
            *COMMON,
            Rule("channelType", _one_of("07", "08")),
            Rule("certType", _one_of("01")),
        ),
        fault="certificates",
    ),
    Operation(
        name="query",
        endpoint="queryTrans.do",
        txn_type="00",
        txn_sub_type="00",
        biz_types=(),
        rules=(*COMMON, Rule("bizType", re.compile(r"[0-9]{6}"))),
        fault="query",
    ),
)


def find_operation(endpoint: str, fields: Mapping[str, str]) -> Operation:
    """The operation that address and types name together; raises AcpError."""
    for name in ("txnType", "txnSubType", "bizType"):
        if name not in fields:
            raise missing(name)
    kinds = (fields["txnType"], fields["txnSubType"])
    for operation in OPERATIONS:
        if operation.endpoint == endpoint and kinds == (
            operation.txn_type,
            operation.txn_sub_type,
        ):
            if operation.biz_types and fields["bizType"] not in operation.biz_types:
                raise AcpError("32", "bizType")
            return operation
    raise AcpError("43" if _is_offered(endpoint, kinds) else "32", "txnType")


def _is_offered(endpoint: str, kinds: tuple[str, str]) -> bool:
    return endpoint in OTHER_ENDPOINTS or kinds[0] in OTHER_TYPES or kinds in OTHER_KINDS


def check(operation: Operation, fields: Mapping[str, str]) -> None:
    """Raise AcpError for the first field that is missing or malformed."""
    for rule in operation.rules:
        value = fields.get(rule.name)
        if value is None:
            if rule.required:
                raise missing(rule.name)
        elif not rule.pattern.fullmatch(value):
            raise malformed(rule.name)


def beijing_time(text: str, field: str) -> datetime:
    """Read `YYYYMMDDhhmmss`; raises AcpError for what is no such moment."""
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=BEIJING)
    except ValueError as error:
        raise malformed(field) from error
