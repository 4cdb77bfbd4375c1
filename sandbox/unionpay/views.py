# How UnionPay words a payment and a refund, in answers and in notifications.
import secrets
from datetime import datetime, timedelta

from sandbox.books import Order, Refund
from sandbox.clock import BEIJING
from sandbox.unionpay.sealing import Fields

CREATED, OPENED, PAID, FAILED, EXPIRED = "CREATED", "OPENED", "PAID", "FAILED", "EXPIRED"
PROCESSING, SUCCESS = "PROCESSING", "SUCCESS"
SUCCEEDED, PENDING, NOT_FOUND, FAILURE = "00", "05", "34", "01"
# The settlement day runs from 23:00 to 23:00.
UNTIL_MIDNIGHT = timedelta(hours=1)
CARD = "622848******0018"
ECHO = (
    "accessType",
    "bizType",
    "encoding",
    "merId",
    "orderId",
    "reqReserved",
    "reserved",
    "signMethod",
    "txnSubType",
    "txnTime",
    "txnType",
    "version",
)


def echo(fields: Fields) -> Fields:
    """The part of a request that every answer and notification repeats."""
    return {name: fields[name] for name in ECHO if name in fields}


def settlement_day(at: datetime) -> str:
    """`YYYYMMDD` of the settlement day that a moment falls into."""
    return f"{at.astimezone(BEIJING) + UNTIL_MIDNIGHT:%Y%m%d}"


def new_query_id(txn_time: str) -> str:
    """21 digits: two, `YYMMDDhhmmss`, six of the trace number, and an 8."""
    two, trace = 10 + secrets.randbelow(90), secrets.randbelow(10**6)
    return f"{two}{txn_time[2:]}{trace:06}8"


def new_tn(txn_time: str) -> str:
    """21 digits too: what the app hands to UnionPay's SDK."""
    return new_query_id(txn_time)[:-1] + "1"


def state_code(record: Order | Refund) -> str:
    """`origRespCode` of a transaction, 34 where UnionPay knows of none yet."""
    known: str | None = record.extra.get("code")
    if isinstance(record, Refund):
        usual = {PROCESSING: PENDING, SUCCESS: SUCCEEDED}
    elif record.status == EXPIRED:
        return FAILURE if record.extra.get("opened") else NOT_FOUND
    else:
        usual = {CREATED: NOT_FOUND, OPENED: PENDING, PAID: SUCCEEDED}
    return known or usual.get(record.status, FAILURE)


def is_done(record: Order | Refund) -> bool:
    """Whether money moved."""
    return record.status in (PAID, SUCCESS)


def amount_of(record: Order | Refund) -> str:
    """What the transaction is over, in fen; what was really paid once it was."""
    return str(record.extra.get("paid_amount", record.amount))


def facts(record: Order | Refund) -> Fields:
    """What a query says of the transaction besides its codes."""
    amount = amount_of(record)
    if not is_done(record):
        return {"settleAmt": "0", "txnAmt": amount} | _links(record)
    return _settled(record, amount) | {"issuerIdentifyMode": "0"} | _links(record)


def announcement(record: Order | Refund) -> Fields:
    """What a notification or the return in the browser says, besides `respCode`."""
    amount = amount_of(record)
    fields = {"currencyCode": "156", "txnAmt": amount} | _links(record)
    if is_done(record):
        fields |= _settled(record, amount) | {"exchangeRate": "0"}
    return echo(record.request) | fields


def _settled(record: Order | Refund, amount: str) -> Fields:
    query_id = record.provider_reference or ""
    done_at = record.paid_at if isinstance(record, Order) else record.done_at
    return {
        "accNo": CARD,
        "currencyCode": "156",
        "payCardType": "01",
        "payType": "0001",
        "queryId": query_id,
        "settleAmt": amount,
        "settleCurrencyCode": "156",
        "settleDate": settlement_day(done_at or record.created_at)[4:],
        "traceNo": query_id[14:20],
        "traceTime": query_id[4:14],
        "txnAmt": amount,
    }


def _links(record: Order | Refund) -> Fields:
    if not isinstance(record, Refund):
        return {}
    return {
        "origQryId": record.extra["orig_query_id"],
        "queryId": record.provider_reference or "",
    }
