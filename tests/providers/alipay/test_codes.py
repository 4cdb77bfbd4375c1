import pytest

from providers.alipay.codes import CODES, SUB_CODES, UNHEARD, bare, verdict_of
from providers.base import Verdict

REJECTED, UNKNOWN = Verdict.REJECTED, Verdict.UNKNOWN
NOT_PROCESSED, PENDING = Verdict.NOT_PROCESSED, Verdict.PENDING

# The documented codes (Alipay's public error code page), as an independent reading of it.
DOCUMENTED = {
    ("10000", ""): PENDING,
    ("10003", ""): PENDING,
    ("20000", "isp.unknow-error"): UNKNOWN,
    ("20000", "aop.unknow-error"): UNKNOWN,
    ("20000", "ACQ.SYSTEM_ERROR"): UNKNOWN,
    ("20001", "aop.invalid-auth-token"): REJECTED,
    ("20001", "aop.auth-token-time-out"): REJECTED,
    ("20001", "aop.invalid-app-auth-token"): REJECTED,
    ("20001", "aop.invalid-app-auth-token-no-api"): REJECTED,
    ("20001", "aop.app-auth-token-time-out"): REJECTED,
    ("20001", "aop.no-product-reg-by-partner"): REJECTED,
    **{
        ("40001", f"isv.missing-{what}"): REJECTED
        for what in (
            "method", "signature", "signature-type", "signature-key", "app-id", "timestamp",
            "version", "encrypt-type",
        )
    },
    **{
        ("40002", f"isv.{what}"): REJECTED
        for what in (
            "invalid-parameter", "invalid-method", "invalid-format", "invalid-signature",
            "invalid-signature-type", "invalid-app-id", "invalid-timestamp", "invalid-charset",
            "invalid-encrypt", "missing-signature-config", "decryption-error-unknown",
        )
    },
    ("40003", "isv.missing-signature-config"): REJECTED,
    ("40004", "ACQ.SYSTEM_ERROR"): UNKNOWN,
    ("40004", "AQC.SYSTEM_ERROR"): UNKNOWN,
    ("40004", "ACQ.TRADE_HAS_SUCCESS"): Verdict.PAID,
    ("40004", "ACQ.SELLER_BALANCE_NOT_ENOUGH"): NOT_PROCESSED,
    **{
        ("40004", f"ACQ.{what}"): REJECTED
        for what in (
            "TRADE_NOT_EXIST", "TRADE_HAS_CLOSE", "TRADE_HAS_FINISHED", "TRADE_STATUS_ERROR",
            "REASON_TRADE_STATUS_INVALID", "REASON_ILLEGAL_STATUS", "INVALID_PARAMETER",
            "ACCESS_FORBIDDEN", "PARTNER_ERROR", "EXIST_FORBIDDEN_WORD", "TOTAL_FEE_EXCEED",
            "BUYER_SELLER_EQUAL", "CONTEXT_INCONSISTENT", "TRADE_BUYER_NOT_MATCH",
            "SELLER_BEEN_BLOCKED", "PAYMENT_AUTH_CODE_INVALID", "BUYER_BALANCE_NOT_ENOUGH",
            "BUYER_ENABLE_STATUS_FORBID", "ERROR_BUYER_CERTIFY_LEVEL_LIMIT",
            "BUYER_PAYMENT_AMOUNT_DAY_LIMIT_ERROR", "BEYOND_PAY_RESTRICTION",
            "REFUND_AMT_NOT_EQUAL_TOTAL", "REASON_TRADE_REFUND_FEE_ERR",
            "DISCORDANT_REPEAT_REQUEST", "REASON_TRADE_BEEN_FREEZEN", "CANCEL_NOT_ALLOWED",
            "TRADE_CANCEL_TIME_OUT",
        )
    },
    ("40005", "isv.app-call-limited"): NOT_PROCESSED,
    ("40005", "isv.method-call-limited"): NOT_PROCESSED,
    ("40006", "isv.insufficient-isv-permissions"): REJECTED,
    ("40006", "isv.insufficient-user-permissions"): REJECTED,
}  # fmt: skip


@pytest.mark.parametrize(("code", "sub_code"), DOCUMENTED)
def test_every_documented_code_has_its_verdict(code: str, sub_code: str) -> None:
    assert verdict_of(code, sub_code) is DOCUMENTED[(code, sub_code)]


def test_nothing_is_in_the_tables_that_is_not_documented() -> None:
    assert set(SUB_CODES) == {bare(sub_code) for _, sub_code in DOCUMENTED if sub_code}
    assert set(CODES) == {code for code, _ in DOCUMENTED}


def test_only_a_documented_no_can_be_about_who_asks() -> None:
    assert {SUB_CODES[sub_code] for sub_code in UNHEARD} == {REJECTED}
    assert not {sub_code for sub_code in UNHEARD if sub_code.isupper()}


@pytest.mark.parametrize(
    ("code", "sub_code", "verdict"),
    [
        ("40004", "ACQ.SOMETHING_NEW", UNKNOWN),
        ("40004", "", UNKNOWN),
        ("40002", "isv.something-new", REJECTED),
        ("40005", "isv.something-new", NOT_PROCESSED),
        ("20000", "ACQ.BUYER_BALANCE_NOT_ENOUGH", UNKNOWN),
        ("10000", "ACQ.BUYER_BALANCE_NOT_ENOUGH", PENDING),
        ("99999", "", UNKNOWN),
        ("", "", UNKNOWN),
    ],
)
def test_an_unknown_code_is_judged_by_its_class(code: str, sub_code: str, verdict: Verdict) -> None:
    assert verdict_of(code, sub_code) is verdict
