"""What WeChat Pay's error codes say of the money (docs: each API's error code table).

Old and new pages spell the same code with and without underscores, so codes are compared bare.
"""

from enum import StrEnum
from http import HTTPStatus

from providers.base import Verdict


class Operation(StrEnum):
    """What was called; the same code means different things for money that moves."""

    CREATE = "create"
    QUERY = "query"
    CLOSE = "close"
    REVERSE = "reverse"
    REFUND = "refund"
    QUERY_REFUND = "query_refund"


CODES: dict[Verdict, tuple[str, ...]] = {
    Verdict.PENDING: ("USERPAYING",),
    Verdict.PAID: ("ORDERPAID",),
    Verdict.REJECTED: (
        "PARAM_ERROR",
        "INVALID_REQUEST",
        "ORDER_CLOSED",
        "RULE_LIMIT",
        "TRADE_ERROR",
        # The payer's, not ours.
        "ACCOUNT_ERROR",
        "NOT_ENOUGH",
        "USER_ACCOUNT_ABNORMAL",
        "OUT_TRADE_NO_USED",
        "ORDER_NOT_EXIST",
        "RESOURCE_NOT_EXISTS",
        # Codes of the payment by barcode that only v2's pages list; v3 has its orders' other codes.
        "AUTHCODEEXPIRE",
        "AUTH_CODE_ERROR",
        "AUTH_CODE_EXPIRED",
        "AUTH_CODE_INVALID",
        "BUYER_MISMATCH",
        "NOT_SUPPORT_CARD",
        "ORDER_REVERSED",
        "REVERSE_EXPIRE",
        # Answered with HTTP 500, and yet definite.
        "OPENID_MISMATCH",
        "INVALID_TRANSACTIONID",
    ),
    Verdict.BLOCKED: ("SIGN_ERROR", "NO_AUTH", "APPID_MCHID_NOT_MATCH", "MCH_NOT_EXISTS"),
    Verdict.NOT_PROCESSED: ("FREQUENCY_LIMITED", "RATELIMIT_EXCEEDED", "RATE_LIMITED"),
    Verdict.UNKNOWN: ("SYSTEM_ERROR", "BANK_ERROR", "SERVICE_UNAVAILABLE"),
}


def bare(code: str) -> str:
    """The code without its spelling: `ORDER_NOT_EXIST` and `ORDERNOTEXIST` are one."""
    return code.replace("_", "").upper()


_VERDICTS = {bare(code): verdict for verdict, codes in CODES.items() for code in codes}

MISSING = frozenset({bare("ORDER_NOT_EXIST"), bare("RESOURCE_NOT_EXISTS")})
CLOSED = frozenset({bare("ORDER_CLOSED"), bare("ORDER_REVERSED")})
# The number is taken or paid, maybe by our own earlier attempt: ask before believing the refusal.
TAKEN = frozenset({bare("OUT_TRADE_NO_USED"), bare("ORDERPAID")})
NO_CERTIFICATES = frozenset({bare("RESOURCE_NOT_EXISTS")})

# About the caller (merchant id, app, key, permission), whatever the call.
_UNHEARD = frozenset(map(bare, CODES[Verdict.BLOCKED]))
_UNAUTHORISED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})

# A refused question, or a refused close, says nothing of the money: the order may yet be paid.
_ASKING = frozenset({Operation.QUERY, Operation.QUERY_REFUND, Operation.CLOSE, Operation.REVERSE})
# Of a refund the merchant's balance and the rules of its account, of an order its payer's.
_BLOCKED_REFUNDS = frozenset(map(bare, ("NOT_ENOUGH", "RULE_LIMIT")))
# Refund page: orders older than a month are throttled by message, under a code of its own whim.
_THROTTLED_REFUND = "频率限制"
# "A rule limits the rate of requests" is one meaning of RULE_LIMIT; only its message says which.
_RULE, _RATE = bare("RULE_LIMIT"), "频率"


def refuses_us(status: int, code: str | None, *, is_signed: bool) -> bool:
    """Whether the answer is a definite no to who we are: signed, or the documented 401 or 403."""
    known = code is not None and bare(code) in _UNHEARD
    return known and (is_signed or status in _UNAUTHORISED)


def verdict(operation: Operation, status: int, code: str | None, message: str = "") -> Verdict:
    """What an answer other than success means; `code` is None where the body is not WeChat's."""
    name = bare(code) if code else ""
    found = _VERDICTS.get(name) or _by_class(status, code)
    if name == _RULE and _RATE in message:
        found = Verdict.NOT_PROCESSED
    if operation is Operation.REFUND:
        return _of_refund(name, found, message)
    if operation in _ASKING and found.is_refusal:
        return Verdict.UNKNOWN
    return found


def _of_refund(name: str, found: Verdict, message: str) -> Verdict:
    if found is Verdict.NOT_PROCESSED or _THROTTLED_REFUND in message:
        # A throttled refund may have been taken all the same: again, with the same number.
        return Verdict.UNKNOWN
    return Verdict.BLOCKED if name in _BLOCKED_REFUNDS else found


def _by_class(status: int, code: str | None) -> Verdict:
    if status == HTTPStatus.ACCEPTED:
        return Verdict.PENDING
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Verdict.NOT_PROCESSED
    # A 4xx without WeChat's code may be any proxy's between us, so it is nobody's definite no.
    if code and HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return Verdict.REJECTED
    return Verdict.UNKNOWN
