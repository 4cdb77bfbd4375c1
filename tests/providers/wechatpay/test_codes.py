import pytest

from providers.base import Verdict
from providers.wechatpay.codes import Operation, verdict

# WeChat Pay API v3, error code tables; one row a documented pair, old spellings beside the new.
DOCUMENTED = [
    (202, "USERPAYING", Verdict.PENDING),
    (202, "USER_PAYING", Verdict.PENDING),
    (202, None, Verdict.PENDING),
    (400, "PARAM_ERROR", Verdict.REJECTED),
    (400, "INVALID_REQUEST", Verdict.REJECTED),
    (400, "APPID_MCHID_NOT_MATCH", Verdict.REJECTED),
    (400, "MCH_NOT_EXISTS", Verdict.REJECTED),
    (404, "MCH_NOT_EXISTS", Verdict.REJECTED),
    (400, "ORDER_CLOSED", Verdict.REJECTED),
    (400, "ORDERCLOSED", Verdict.REJECTED),
    (400, "ORDERPAID", Verdict.PAID),
    (400, "ORDER_PAID", Verdict.PAID),
    (403, "ORDERPAID", Verdict.PAID),
    (401, "SIGN_ERROR", Verdict.REJECTED),
    (403, "NO_AUTH", Verdict.REJECTED),
    (403, "RULE_LIMIT", Verdict.REJECTED),
    (403, "RULELIMIT", Verdict.REJECTED),
    (403, "TRADE_ERROR", Verdict.REJECTED),
    (403, "ACCOUNT_ERROR", Verdict.REJECTED),
    (403, "NOT_ENOUGH", Verdict.REJECTED),
    (403, "NOTENOUGH", Verdict.REJECTED),
    (403, "USER_ACCOUNT_ABNORMAL", Verdict.REJECTED),
    (403, "OUT_TRADE_NO_USED", Verdict.REJECTED),
    (404, "ORDER_NOT_EXIST", Verdict.REJECTED),
    (404, "ORDERNOTEXIST", Verdict.REJECTED),
    (404, "RESOURCE_NOT_EXISTS", Verdict.REJECTED),
    (429, "FREQUENCY_LIMITED", Verdict.NOT_PROCESSED),
    (429, "RATELIMIT_EXCEEDED", Verdict.NOT_PROCESSED),
    (429, "RATE_LIMITED", Verdict.NOT_PROCESSED),
    (500, "SYSTEM_ERROR", Verdict.UNKNOWN),
    (500, "SYSTEMERROR", Verdict.UNKNOWN),
    (500, "BANK_ERROR", Verdict.UNKNOWN),
    (500, "OPENID_MISMATCH", Verdict.REJECTED),
    (500, "INVALID_TRANSACTIONID", Verdict.REJECTED),
    (502, "SERVICE_UNAVAILABLE", Verdict.UNKNOWN),
    (503, "SERVICE_UNAVAILABLE", Verdict.UNKNOWN),
]
BY_CLASS = [
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


@pytest.mark.parametrize(("status", "code", "expected"), DOCUMENTED + BY_CLASS)
def test_an_order_answer_means(status: int, code: str | None, expected: Verdict) -> None:
    assert verdict(Operation.CREATE, status, code) is expected


@pytest.mark.parametrize(("status", "code", "usual"), DOCUMENTED + BY_CLASS)
def test_a_throttled_refund_is_unknown_and_all_else_as_for_an_order(
    status: int, code: str | None, usual: Verdict
) -> None:
    expected = Verdict.UNKNOWN if usual is Verdict.NOT_PROCESSED else usual
    assert verdict(Operation.REFUND, status, code) is expected


@pytest.mark.parametrize(
    "operation", [Operation.QUERY, Operation.QUERY_REFUND, Operation.CLOSE, Operation.REVERSE]
)
@pytest.mark.parametrize(("status", "code", "usual"), DOCUMENTED + BY_CLASS)
def test_a_refused_question_or_close_never_says_that_no_money_moved(
    operation: Operation, status: int, code: str | None, usual: Verdict
) -> None:
    expected = Verdict.UNKNOWN if usual is Verdict.REJECTED else usual
    assert verdict(operation, status, code) is expected


def test_an_old_order_throttled_by_message_is_an_unknown_refund() -> None:
    message = "频率限制，1个月之前的订单申请退款频率限制"
    assert verdict(Operation.REFUND, 400, "INVALID_REQUEST", message) is Verdict.UNKNOWN
    assert verdict(Operation.CREATE, 400, "INVALID_REQUEST", message) is Verdict.REJECTED
