"""What each documented code of Alipay's says of the money; pure tables.

Sources: the public error codes; the business codes (40004) of pay, precreate, create, app, wap,
page, query, cancel, close and refund. `REJECTED` is Alipay's own definite no to this call: nothing
moved by it. `BLOCKED` is one to our account. Codes that are not in the tables are judged by the
class that their `code` stands for, and 40004 without a known sub_code is unknown: Alipay adds codes
unannounced, and a failure needs one that we understand.
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
    "20001": Verdict.BLOCKED,
    "40001": Verdict.REJECTED,
    "40002": Verdict.REJECTED,
    "40003": Verdict.BLOCKED,
    BUSINESS_FAILED: Verdict.UNKNOWN,
    "40005": Verdict.NOT_PROCESSED,
    "40006": Verdict.BLOCKED,
}

# About the caller (app, keys, certificate, permission), whatever the call: the answer to an order
# stands for the answer to every query too.
_UNHEARD = """
    aop.invalid-auth-token aop.auth-token-time-out aop.invalid-app-auth-token
    aop.invalid-app-auth-token-no-api aop.app-auth-token-time-out aop.no-product-reg-by-partner
    isv.missing-app-id isv.missing-signature isv.missing-signature-type isv.missing-signature-key
    isv.missing-signature-config isv.missing-encrypt-type
    isv.invalid-app-id isv.invalid-app-state isv.invalid-signature isv.invalid-signature-type
    isv.invalid-token isv.invalid-encrypt-type isv.decryption-error-missing-encrypt-type
    isv.decryption-error-not-valid-encrypt-type isv.decryption-error-not-valid-encrypt-key
    isv.not-support-app-auth isv.forbidden-api app-cert-expired invalid-auth-relations
    isv.insufficient-isv-permissions isv.insufficient-user-permissions
"""
UNHEARD = frozenset(_UNHEARD.split())

# The merchant's account, contract, receiving limits, and what pays its refunds.
_ACCOUNT = """
    ACCESS_FORBIDDEN PARTNER_ERROR SELLER_BEEN_BLOCKED SELLER_NOT_EXIST SELLER_BALANCE_NOT_ENOUGH
    MERCHANT_STATUS_NOT_NORMAL MERCHANT_AGREEMENT_INVALID MERCHANT_AGREEMENT_NOT_EXIST
    INVALID_RECEIVE_ACCOUNT ERROR_SELLER_CERTIFY_LEVEL_LIMIT UN_SUPPORT_TRADE_SCENE
    BEYOND_PAY_RESTRICTION BEYOND_PER_RECEIPT_RESTRICTION BEYOND_PER_RECEIPT_DAY_RESTRICTION
    BEYOND_PER_RECEIPT_SINGLE_RESTRICTION MERCHANT_PERM_RECEIPT_SUSPEND_LIMIT
    MERCHANT_PERM_RECEIPT_SINGLE_LIMIT MERCHANT_PERM_RECEIPT_DAY_LIMIT PRODUCT_AMOUNT_LIMIT_ERROR
    RESTRICTED_MERCHANT_INDUSTRY
    REFUND_ACCOUNT_NOT_EXIST OVERDRAFT_ASSIGN_ACCOUNT_INVALID OVERDRAFT_AGREEMENT_NOT_MATCH
    REFUNDALLOC_UNAUTH_LIMIT
"""
# The request itself is wrong.
_REQUEST = """
    isv.missing-method isv.missing-timestamp isv.missing-version
    isv.invalid-parameter isv.invalid-method isv.invalid-format isv.invalid-charset
    isv.invalid-digest isv.upload-fail isv.invalid-file-extension isv.invalid-file-size
    isv.suspected-attack
    INVALID_PARAMETER ILLEGAL_ARGUMENT EXIST_FORBIDDEN_WORD TOTAL_FEE_EXCEED REQUEST_AMOUNT_EXCEED
    AMOUNT_OR_CURRENCY_ERROR CURRENCY_NOT_SUPPORT STORE_INFO_INVALID INVALID_STORE_ID
    NOW_TIME_AFTER_EXPIRE_TIME_ERROR RISK_MERCHANT_IP_NOT_EXIST AUTH_TOKEN_IS_NOT_EXIST
    SUB_GOODS_SIZE_MAX_COUNT OPEN_ID_NOT_TINY_APP APPLY_PC_MERCHANT_CODE_ERROR
    ILLEGAL_SIGN_VALIDTY_PERIOD
"""
# The payer, the payer's means of payment, or the risk that Alipay sees in the payment.
_PAYER = """
    BUYER_BALANCE_NOT_ENOUGH BUYER_BANKCARD_BALANCE_NOT_ENOUGH BUYER_ENABLE_STATUS_FORBID
    BUYER_ERROR BUYER_NOT_EXIST BUYER_NOT_MAINLAND_CERT BUYER_SELLER_EQUAL
    BUYER_PAYMENT_AMOUNT_DAY_LIMIT_ERROR BUYER_PAYMENT_AMOUNT_MONTH_LIMIT_ERROR
    CUSTOMER_VALIDATE_ERROR ENTERPRISE_PAY_BIZ_ERROR ERROR_BALANCE_PAYMENT_DISABLE
    ERROR_BUYER_CERTIFY_LEVEL_LIMIT MOBILE_PAYMENT_SWITCH_OFF NOT_CERTIFIED_USER
    NOT_SUPPORT_PAYMENT_INST NO_PAYMENT_INSTRUMENTS_AVAILABLE PAYER_UNMATCHED
    PAYMENT_AUTH_CODE_INVALID PAYMENT_FAIL PAYMENT_REQUEST_HAS_RISK PULL_MOBILE_CASHIER_FAIL
    TRADE_BUYER_NOT_MATCH USER_FACE_PAYMENT_SWITCH_OFF USER_LOGONID_DUP USER_NOT_MATCH_ERR
"""
# The trade's state or sums.
_TRADE = """
    TRADE_NOT_EXIST TRADE_HAS_CLOSE TRADE_HAS_FINISHED CONTEXT_INCONSISTENT
    TRADE_STATUS_ERROR REASON_TRADE_STATUS_INVALID REASON_ILLEGAL_STATUS
    TRADE_NOT_ALLOW_REFUND NOT_ALLOW_PARTIAL_REFUND ONLINE_TRADE_VOUCHER_NOT_ALLOW_REFUND
    REFUND_AMT_NOT_EQUAL_TOTAL REFUND_FEE_ERROR REASON_TRADE_REFUND_FEE_ERR
    DISCORDANT_REPEAT_REQUEST REASON_TRADE_BEEN_FREEZEN CANCEL_NOT_ALLOWED TRADE_CANCEL_TIME_OUT
    TRADE_SETTLE_ERROR ALLOC_AMOUNT_VALIDATE_ERROR REFUND_ROYALTY_PAYEE_ACCOUNT_NOT_EXIST
"""
# Products that no channel of ours sells; the same methods list them.
_OTHER_PRODUCTS = """
    AGREEMENT_ERROR AGREEMENT_INVALID AGREEMENT_NOT_EXIST AGREEMENT_STATUS_NOT_NORMAL
    AUTH_AMOUNT_NOT_ENOUGH AUTH_NO_ERROR AUTH_ORDER_HAS_CLOSED AUTH_ORDER_HAS_FINISHED
    AUTH_ORDER_NOT_PAID PRE_AUTH_PROD_CODE_INCONSISTENT
    BUYER_UNSUPPORT_ADVANCE MERCHANT_UNSUPPORT_ADVANCE ORDER_UNSUPPORT_ADVANCE
    CARD_TYPE_ERROR CARD_USER_NOT_MATCH CERT_EXPIRED
    CYCLE_PAY_DATE_NOT_MATCH CYCLE_PAY_SINGLE_FEE_EXCEED CYCLE_PAY_TOTAL_FEE_EXCEED
    CYCLE_PAY_TOTAL_TIMES_EXCEED
    DEFAULT_SETTLE_RULE_NOT_EXIST PLATFORM_BUSINESS_ACQUIRE_MODE_MUST_MERCHANT_ID
    ROYALTY_ACCOUNT_NOT_EXIST SMILE_PAY_MERCHANT_NOT_MATCH
    SECONDARY_MERCHANT_ALIPAY_ACCOUNT_INVALID SECONDARY_MERCHANT_CARD_ALIAS_NO_INVALID
    SECONDARY_MERCHANT_ID_BLANK SECONDARY_MERCHANT_ID_INVALID
    SECONDARY_MERCHANT_ISV_PUNISH_INDIRECT SECONDARY_MERCHANT_NOT_MATCH
    SECONDARY_MERCHANT_STATUS_ERROR SUB_MERCHANT_CREATE_FAIL SUB_MERCHANT_TYPE_INVALID
    ZM_AUTH_AMOUNT_EXCEED ZM_AUTH_RULE_LIMIT ZM_CREDIT_AUTH_FAIL
"""
_BY_VERDICT: dict[Verdict, str] = {
    Verdict.PAID: TRADE_HAS_SUCCESS,
    # The last two are in no published list, only in others' code.
    Verdict.UNKNOWN: (
        "SYSTEM_ERROR isp.unknow-error aop.unknow-error QUERY_NO_RESULT BUSINESS_TIMEOUT_ERROR"
    ),
    # Alipay's advice for these is to send the same again; for the last, after a while.
    Verdict.NOT_PROCESSED: """
        isv.app-call-limited isv.method-call-limited
        isv.decryption-error-unknown isv.invalid-encrypt REFUND_CHARGE_ERROR
    """,
    # A timestamp that Alipay refuses is our clock's fault, and the next one may be good.
    Verdict.BLOCKED: f"{_UNHEARD} {_ACCOUNT} isv.invalid-timestamp",
    Verdict.REJECTED: f"{_REQUEST} {_PAYER} {_TRADE} {_OTHER_PRODUCTS}",
}
SUB_CODES: dict[str, Verdict] = {
    name: verdict for verdict, names in _BY_VERDICT.items() for name in names.split()
}
# Older answers cut a business code off at 32 characters, its prefix `ACQ.` included.
_CUT_AT = 28
_CUT_OFF = {name[:_CUT_AT]: verdict for name, verdict in SUB_CODES.items() if name.isupper()}


def bare(sub_code: str) -> str:
    """The business code without its prefix, which older answers spell `AQC.`."""
    return sub_code.removeprefix("ACQ.").removeprefix("AQC.")


def verdict_of(code: str, sub_code: str) -> Verdict:
    """The verdict of a signed answer."""
    by_class = CODES.get(code, Verdict.UNKNOWN)
    if code in (SUCCESS, PAYER_ACTS, "20000"):
        return by_class
    name = bare(sub_code)
    if len(name) == _CUT_AT and name not in SUB_CODES:
        return _CUT_OFF.get(name, by_class)
    return SUB_CODES.get(name, by_class)
