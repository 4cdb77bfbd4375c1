"""What each documented code of Alipay's says of the money (sheet 1.9); pure tables.

`REJECTED` is Alipay's own definite no to this call: nothing moved by it. Codes that are not in
the tables are judged by the class that their `code` stands for, and 40004 without a known
sub_code is unknown: Alipay adds words unannounced, and a failure needs a word that we understand.
"""

from providers.base import Verdict

SUCCESS = "10000"
PAYER_ACTS = "10003"
BUSINESS_FAILED = "40004"
TRADE_NOT_EXIST = "TRADE_NOT_EXIST"
TRADE_HAS_SUCCESS = "TRADE_HAS_SUCCESS"

CODES: dict[str, Verdict] = {
    SUCCESS: Verdict.PENDING,  # final only where the method's own fields say so
    PAYER_ACTS: Verdict.PENDING,
    "20000": Verdict.UNKNOWN,
    "20001": Verdict.REJECTED,
    "40001": Verdict.REJECTED,
    "40002": Verdict.REJECTED,
    "40003": Verdict.REJECTED,
    BUSINESS_FAILED: Verdict.UNKNOWN,
    "40005": Verdict.NOT_PROCESSED,
    "40006": Verdict.REJECTED,
}

_BY_VERDICT: dict[Verdict, str] = {
    Verdict.PAID: TRADE_HAS_SUCCESS,
    Verdict.UNKNOWN: "SYSTEM_ERROR isp.unknow-error aop.unknow-error",
    # Top up and send the same refund again: our retry does exactly that.
    Verdict.NOT_PROCESSED: (
        "SELLER_BALANCE_NOT_ENOUGH isv.app-call-limited isv.method-call-limited"
    ),
    Verdict.REJECTED: """
        TRADE_NOT_EXIST TRADE_HAS_CLOSE TRADE_HAS_FINISHED
        TRADE_STATUS_ERROR REASON_TRADE_STATUS_INVALID REASON_ILLEGAL_STATUS
        INVALID_PARAMETER ACCESS_FORBIDDEN PARTNER_ERROR EXIST_FORBIDDEN_WORD TOTAL_FEE_EXCEED
        BUYER_SELLER_EQUAL CONTEXT_INCONSISTENT TRADE_BUYER_NOT_MATCH SELLER_BEEN_BLOCKED
        PAYMENT_AUTH_CODE_INVALID BUYER_BALANCE_NOT_ENOUGH BUYER_ENABLE_STATUS_FORBID
        ERROR_BUYER_CERTIFY_LEVEL_LIMIT BUYER_PAYMENT_AMOUNT_DAY_LIMIT_ERROR
        BEYOND_PAY_RESTRICTION
        REFUND_AMT_NOT_EQUAL_TOTAL REASON_TRADE_REFUND_FEE_ERR DISCORDANT_REPEAT_REQUEST
        REASON_TRADE_BEEN_FREEZEN CANCEL_NOT_ALLOWED TRADE_CANCEL_TIME_OUT
        aop.invalid-auth-token aop.auth-token-time-out aop.invalid-app-auth-token
        aop.invalid-app-auth-token-no-api aop.app-auth-token-time-out
        aop.no-product-reg-by-partner
        isv.missing-method isv.missing-signature isv.missing-signature-type
        isv.missing-signature-key isv.missing-app-id isv.missing-timestamp isv.missing-version
        isv.missing-encrypt-type isv.missing-signature-config
        isv.invalid-parameter isv.invalid-method isv.invalid-format isv.invalid-signature
        isv.invalid-signature-type isv.invalid-app-id isv.invalid-timestamp isv.invalid-charset
        isv.invalid-encrypt isv.decryption-error-unknown
        isv.insufficient-isv-permissions isv.insufficient-user-permissions
    """,
}
SUB_CODES: dict[str, Verdict] = {
    name: verdict for verdict, names in _BY_VERDICT.items() for name in names.split()
}

# About who asks (app, keys, permission), whatever is asked: the answer to an order stands for the
# answer to every question too.
_UNHEARD = """
    aop.invalid-auth-token aop.auth-token-time-out aop.invalid-app-auth-token
    aop.invalid-app-auth-token-no-api aop.app-auth-token-time-out aop.no-product-reg-by-partner
    isv.missing-app-id isv.missing-signature isv.missing-signature-type isv.missing-signature-key
    isv.missing-signature-config isv.missing-encrypt-type
    isv.invalid-app-id isv.invalid-signature isv.invalid-signature-type isv.invalid-encrypt
    isv.decryption-error-unknown
    isv.insufficient-isv-permissions isv.insufficient-user-permissions
"""
UNHEARD = frozenset(_UNHEARD.split())


def bare(sub_code: str) -> str:
    """The business word without its prefix, which older answers spell `AQC.`."""
    return sub_code.removeprefix("ACQ.").removeprefix("AQC.")


def verdict_of(code: str, sub_code: str) -> Verdict:
    """The verdict of a signed answer."""
    by_class = CODES.get(code, Verdict.UNKNOWN)
    if code in (SUCCESS, PAYER_ACTS, "20000"):
        return by_class
    return SUB_CODES.get(bare(sub_code), by_class)
