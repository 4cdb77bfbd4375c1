import pytest

from providers.base import Verdict
from providers.wechatpay.codes import CODES, Operation, bare, verdict

REJECTED, BLOCKED, UNKNOWN = Verdict.REJECTED, Verdict.BLOCKED, Verdict.UNKNOWN
NOT_PROCESSED, PENDING, PAID = Verdict.NOT_PROCESSED, Verdict.PENDING, Verdict.PAID

# WeChat Pay API v3, the error code tables of the orders (app, jsapi, h5, native), the query, the
# close and the refund, as of 2025; those marked v2 are the barcode's of v2's pages, for no table
# of v3's codepay and reverse pages is among the stored copies. One row a documented pair, old
# spellings beside the new: what an order says by it, what a refund says by it.
DOCUMENTED = [
    (202, "USERPAYING", PENDING, PENDING),  # v2
    (202, "USER_PAYING", PENDING, PENDING),
    (400, "PARAM_ERROR", REJECTED, REJECTED),
    (400, "INVALID_REQUEST", REJECTED, REJECTED),
    (400, "APPID_MCHID_NOT_MATCH", BLOCKED, BLOCKED),
    (400, "MCH_NOT_EXISTS", BLOCKED, BLOCKED),
    (404, "MCH_NOT_EXISTS", BLOCKED, BLOCKED),
    (400, "ORDER_CLOSED", REJECTED, REJECTED),
    (400, "ORDERCLOSED", REJECTED, REJECTED),
    (400, "ORDERPAID", PAID, PAID),
    (400, "ORDER_PAID", PAID, PAID),
    (403, "ORDERPAID", PAID, PAID),
    (401, "SIGN_ERROR", BLOCKED, BLOCKED),
    (403, "NO_AUTH", BLOCKED, BLOCKED),
    (403, "RULE_LIMIT", REJECTED, BLOCKED),
    (403, "RULELIMIT", REJECTED, BLOCKED),
    (403, "TRADE_ERROR", REJECTED, REJECTED),
    (403, "ACCOUNT_ERROR", REJECTED, REJECTED),
    # Of an order the payer's balance, of a refund the merchant's.
    (403, "NOT_ENOUGH", REJECTED, BLOCKED),
    (403, "NOTENOUGH", REJECTED, BLOCKED),
    (403, "USER_ACCOUNT_ABNORMAL", REJECTED, REJECTED),
    (403, "OUT_TRADE_NO_USED", REJECTED, REJECTED),
    (404, "ORDER_NOT_EXIST", REJECTED, REJECTED),
    (404, "ORDERNOTEXIST", REJECTED, REJECTED),
    (404, "RESOURCE_NOT_EXISTS", REJECTED, REJECTED),
    # A throttled refund may have been taken all the same.
    (429, "FREQUENCY_LIMITED", NOT_PROCESSED, UNKNOWN),
    (429, "RATELIMIT_EXCEEDED", NOT_PROCESSED, UNKNOWN),
    (429, "RATE_LIMITED", NOT_PROCESSED, UNKNOWN),
    (500, "SYSTEM_ERROR", UNKNOWN, UNKNOWN),
    (500, "SYSTEMERROR", UNKNOWN, UNKNOWN),
    (500, "BANK_ERROR", UNKNOWN, UNKNOWN),
    (500, "OPENID_MISMATCH", REJECTED, REJECTED),
    (500, "INVALID_TRANSACTIONID", REJECTED, REJECTED),
    (502, "SERVICE_UNAVAILABLE", UNKNOWN, UNKNOWN),
    (503, "SERVICE_UNAVAILABLE", UNKNOWN, UNKNOWN),
    *[
        (400, code, REJECTED, REJECTED)  # v2
        for code in (
            "AUTHCODEEXPIRE", "AUTH_CODE_ERROR", "AUTH_CODE_EXPIRED", "AUTH_CODE_INVALID",
            "BUYER_MISMATCH",
            "NOT_SUPPORT_CARD", "ORDER_REVERSED", "REVERSE_EXPIRE",
        )
    ],
]  # fmt: skip
# WeChat Pay's own advice for these is to send the same again.
UNKNOWN_ON_PURPOSE = {"SYSTEMERROR", "BANKERROR", "SERVICEUNAVAILABLE"}
BY_CLASS = [
    (202, None, Verdict.PENDING),
    (400, "BRAND_NEW_CODE", Verdict.REJECTED),
    (499, "BRAND_NEW_CODE", Verdict.REJECTED),
    (429, "BRAND_NEW_CODE", Verdict.NOT_PROCESSED),
    (429, None, Verdict.NOT_PROCESSED),
    (500, "BRAND_NEW_CODE", Verdict.UNKNOWN),
    (302, "BRAND_NEW_CODE", Verdict.UNKNOWN),
    (500, None, Verdict.UNKNOWN),
    (504, None, Verdict.UNKNOWN),
    # A refusal that is not WeChat Pay's own JSON may be any proxy's between us.
    (403, None, Verdict.UNKNOWN),
    (404, None, Verdict.UNKNOWN),
]


def test_every_documented_code_has_a_verdict() -> None:
    documented = {bare(code) for _, code, _, _ in DOCUMENTED}
    known = {bare(code): verdict for verdict, codes in CODES.items() for code in codes}
    assert len(documented) == 33
    assert set(known) == documented
    assert {code for code, found in known.items() if found is UNKNOWN} == UNKNOWN_ON_PURPOSE


@pytest.mark.parametrize(("status", "code", "order", "refund"), DOCUMENTED)
def test_a_documented_code_means_what_its_text_says(
    status: int, code: str, order: Verdict, refund: Verdict
) -> None:
    assert verdict(Operation.CREATE, status, code) is order
    assert verdict(Operation.REFUND, status, code) is refund


@pytest.mark.parametrize(("status", "code", "expected"), BY_CLASS)
def test_an_unknown_code_is_judged_by_its_class(
    status: int, code: str | None, expected: Verdict
) -> None:
    assert verdict(Operation.CREATE, status, code) is expected
    throttled = expected is NOT_PROCESSED
    assert verdict(Operation.REFUND, status, code) is (UNKNOWN if throttled else expected)


@pytest.mark.parametrize(
    "operation", [Operation.QUERY, Operation.QUERY_REFUND, Operation.CLOSE, Operation.REVERSE]
)
@pytest.mark.parametrize(("status", "code", "usual"), [*(row[:3] for row in DOCUMENTED), *BY_CLASS])
def test_a_rejected_question_or_close_never_says_that_no_money_moved(
    operation: Operation, status: int, code: str | None, usual: Verdict
) -> None:
    expected = UNKNOWN if usual.is_refusal else usual
    assert verdict(operation, status, code) is expected


def test_a_rule_that_limits_the_rate_is_no_rejection_of_the_order() -> None:
    message = "因业务规则限制请求频率，请查看接口返回的详细信息"
    assert verdict(Operation.CREATE, 403, "RULE_LIMIT", message) is NOT_PROCESSED
    assert verdict(Operation.QUERY, 403, "RULE_LIMIT", message) is NOT_PROCESSED
    # Nothing for an operator to mend, and a throttled refund may have been taken all the same.
    assert verdict(Operation.REFUND, 403, "RULE_LIMIT", message) is UNKNOWN


def test_an_old_order_throttled_by_message_is_an_unknown_refund() -> None:
    message = "频率限制，1个月之前的订单申请退款频率限制"
    assert verdict(Operation.REFUND, 400, "INVALID_REQUEST", message) is UNKNOWN
    assert verdict(Operation.CREATE, 400, "INVALID_REQUEST", message) is REJECTED
