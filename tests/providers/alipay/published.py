"""Alipay's published error code tables, each code with what it means, by table.

A reading of its own, beside the one in `providers/alipay/codes.py`. The table of the refund is the
newest one (31 codes); the business codes of pay, cancel, query and close are as of 2024; those of
create, app, wap and page as of 2022. All are copies in public repositories.
"""

from collections.abc import Iterator

from providers.base import Verdict

REJECTED, BLOCKED, UNKNOWN = Verdict.REJECTED, Verdict.BLOCKED, Verdict.UNKNOWN
NOT_PROCESSED, PENDING, PAID = Verdict.NOT_PROCESSED, Verdict.PENDING, Verdict.PAID

Table = dict[tuple[str, str], Verdict]

# Public codes: `code`, then the `sub_code`s that come with it.
_PUBLIC: dict[str, dict[Verdict, str]] = {
    "20000": {UNKNOWN: "isp.unknow-error aop.unknow-error"},
    "20001": {
        BLOCKED: """
            aop.invalid-auth-token aop.auth-token-time-out aop.invalid-app-auth-token
            aop.invalid-app-auth-token-no-api aop.app-auth-token-time-out
            aop.no-product-reg-by-partner
        """
    },
    "40001": {
        REJECTED: "isv.missing-method isv.missing-timestamp isv.missing-version",
        BLOCKED: """
            isv.missing-signature isv.missing-signature-type isv.missing-signature-key
            isv.missing-app-id isv.missing-encrypt-type isv.decryption-error-missing-encrypt-type
        """,
    },
    "40002": {
        REJECTED: """
            isv.invalid-parameter isv.upload-fail isv.invalid-file-extension isv.invalid-file-size
            isv.invalid-method isv.invalid-format isv.invalid-charset isv.invalid-digest
            isv.suspected-attack
        """,
        BLOCKED: """
            isv.invalid-signature isv.invalid-signature-type isv.invalid-token isv.invalid-app-id
            isv.invalid-app-state isv.invalid-timestamp isv.invalid-encrypt-type
            isv.decryption-error-not-valid-encrypt-type isv.decryption-error-not-valid-encrypt-key
            isv.missing-signature-config isv.not-support-app-auth isv.forbidden-api
            app-cert-expired invalid-auth-relations
        """,
        # The advice for both: try again.
        NOT_PROCESSED: "isv.invalid-encrypt isv.decryption-error-unknown",
    },
    "40003": {BLOCKED: "isv.missing-signature-config"},
    "40005": {NOT_PROCESSED: "isv.app-call-limited isv.method-call-limited"},
    "40006": {BLOCKED: "isv.insufficient-isv-permissions isv.insufficient-user-permissions"},
}
_REFUND: dict[Verdict, str] = {
    REJECTED: """
        ALLOC_AMOUNT_VALIDATE_ERROR BUYER_ENABLE_STATUS_FORBID BUYER_ERROR BUYER_NOT_EXIST
        CURRENCY_NOT_SUPPORT CUSTOMER_VALIDATE_ERROR DISCORDANT_REPEAT_REQUEST
        ENTERPRISE_PAY_BIZ_ERROR INVALID_PARAMETER NOT_ALLOW_PARTIAL_REFUND
        ONLINE_TRADE_VOUCHER_NOT_ALLOW_REFUND REASON_TRADE_BEEN_FREEZEN
        REASON_TRADE_REFUND_FEE_ERR REASON_TRADE_STATUS_INVALID REFUND_AMT_NOT_EQUAL_TOTAL
        REFUND_FEE_ERROR REFUND_ROYALTY_PAYEE_ACCOUNT_NOT_EXIST TRADE_HAS_CLOSE
        TRADE_HAS_FINISHED TRADE_NOT_ALLOW_REFUND TRADE_NOT_EXIST TRADE_SETTLE_ERROR
        TRADE_STATUS_ERROR USER_NOT_MATCH_ERR
    """,
    # Top up, mend the account that pays, let the receiver allow it: then the same refund again.
    BLOCKED: """
        SELLER_BALANCE_NOT_ENOUGH REFUND_ACCOUNT_NOT_EXIST OVERDRAFT_ASSIGN_ACCOUNT_INVALID
        OVERDRAFT_AGREEMENT_NOT_MATCH REFUNDALLOC_UNAUTH_LIMIT
    """,
    NOT_PROCESSED: "REFUND_CHARGE_ERROR",
    UNKNOWN: "SYSTEM_ERROR",
}
_ORDER: dict[Verdict, str] = {
    PAID: "TRADE_HAS_SUCCESS",
    UNKNOWN: "SYSTEM_ERROR",
    BLOCKED: """
        ACCESS_FORBIDDEN PARTNER_ERROR SELLER_BEEN_BLOCKED SELLER_NOT_EXIST
        MERCHANT_STATUS_NOT_NORMAL MERCHANT_AGREEMENT_INVALID MERCHANT_AGREEMENT_NOT_EXIST
        INVALID_RECEIVE_ACCOUNT ERROR_SELLER_CERTIFY_LEVEL_LIMIT UN_SUPPORT_TRADE_SCENE
        BEYOND_PAY_RESTRICTION BEYOND_PER_RECEIPT_RESTRICTION BEYOND_PER_RECEIPT_DAY_RESTRICTION
        BEYOND_PER_RECEIPT_SINGLE_RESTRICTION MERCHANT_PERM_RECEIPT_DAY_LIMIT
        MERCHANT_PERM_RECEIPT_SINGLE_LIMIT MERCHANT_PERM_RECEIPT_SUSPEND_LIMIT
        PRODUCT_AMOUNT_LIMIT_ERROR RESTRICTED_MERCHANT_INDUSTRY SELLER_BALANCE_NOT_ENOUGH
    """,
    REJECTED: """
        AGREEMENT_ERROR AGREEMENT_INVALID AGREEMENT_NOT_EXIST AGREEMENT_STATUS_NOT_NORMAL
        AMOUNT_OR_CURRENCY_ERROR APPLY_PC_MERCHANT_CODE_ERROR AUTH_AMOUNT_NOT_ENOUGH AUTH_NO_ERROR
        AUTH_ORDER_HAS_CLOSED AUTH_ORDER_HAS_FINISHED AUTH_ORDER_NOT_PAID AUTH_TOKEN_IS_NOT_EXIST
        BUYER_BALANCE_NOT_ENOUGH BUYER_BANKCARD_BALANCE_NOT_ENOUGH BUYER_ENABLE_STATUS_FORBID
        BUYER_NOT_EXIST BUYER_NOT_MAINLAND_CERT BUYER_PAYMENT_AMOUNT_DAY_LIMIT_ERROR
        BUYER_PAYMENT_AMOUNT_MONTH_LIMIT_ERROR BUYER_SELLER_EQUAL BUYER_UNSUPPORT_ADVANCE
        CANCEL_NOT_ALLOWED CARD_TYPE_ERROR CARD_USER_NOT_MATCH CERT_EXPIRED CONTEXT_INCONSISTENT
        CURRENCY_NOT_SUPPORT CUSTOMER_VALIDATE_ERROR CYCLE_PAY_DATE_NOT_MATCH
        CYCLE_PAY_SINGLE_FEE_EXCEED CYCLE_PAY_TOTAL_FEE_EXCEED CYCLE_PAY_TOTAL_TIMES_EXCEED
        DEFAULT_SETTLE_RULE_NOT_EXIST ENTERPRISE_PAY_BIZ_ERROR ERROR_BALANCE_PAYMENT_DISABLE
        ERROR_BUYER_CERTIFY_LEVEL_LIMIT EXIST_FORBIDDEN_WORD ILLEGAL_ARGUMENT
        ILLEGAL_SIGN_VALIDTY_PERIOD INVALID_PARAMETER INVALID_STORE_ID MERCHANT_UNSUPPORT_ADVANCE
        MOBILE_PAYMENT_SWITCH_OFF NOT_CERTIFIED_USER NOT_SUPPORT_PAYMENT_INST
        NOW_TIME_AFTER_EXPIRE_TIME_ERROR NO_PAYMENT_INSTRUMENTS_AVAILABLE OPEN_ID_NOT_TINY_APP
        ORDER_UNSUPPORT_ADVANCE PAYER_UNMATCHED PAYMENT_AUTH_CODE_INVALID PAYMENT_FAIL
        PAYMENT_REQUEST_HAS_RISK PLATFORM_BUSINESS_ACQUIRE_MODE_MUST_MERCHANT_ID
        PRE_AUTH_PROD_CODE_INCONSISTENT PULL_MOBILE_CASHIER_FAIL REASON_ILLEGAL_STATUS
        REASON_TRADE_BEEN_FREEZEN REASON_TRADE_REFUND_FEE_ERR REASON_TRADE_STATUS_INVALID
        REQUEST_AMOUNT_EXCEED RISK_MERCHANT_IP_NOT_EXIST ROYALTY_ACCOUNT_NOT_EXIST
        SECONDARY_MERCHANT_ALIPAY_ACCOUNT_INVALID SECONDARY_MERCHANT_CARD_ALIAS_NO_INVALID
        SECONDARY_MERCHANT_ID_BLANK SECONDARY_MERCHANT_ID_INVALID
        SECONDARY_MERCHANT_ISV_PUNISH_INDIRECT SECONDARY_MERCHANT_NOT_MATCH
        SECONDARY_MERCHANT_STATUS_ERROR SMILE_PAY_MERCHANT_NOT_MATCH STORE_INFO_INVALID
        SUB_GOODS_SIZE_MAX_COUNT SUB_MERCHANT_CREATE_FAIL SUB_MERCHANT_TYPE_INVALID
        TOTAL_FEE_EXCEED TRADE_BUYER_NOT_MATCH TRADE_CANCEL_TIME_OUT TRADE_HAS_CLOSE
        TRADE_HAS_FINISHED TRADE_NOT_EXIST TRADE_SETTLE_ERROR TRADE_STATUS_ERROR
        USER_FACE_PAYMENT_SWITCH_OFF USER_LOGONID_DUP ZM_AUTH_AMOUNT_EXCEED ZM_AUTH_RULE_LIMIT
        ZM_CREDIT_AUTH_FAIL
    """,
}
# In a published list of page.pay, cut off at 32 characters.
CUT_OFF: dict[str, Verdict] = {
    "ACQ.BUYER_BANKCARD_BALANCE_NOT_E": REJECTED,
    "ACQ.ERROR_BALANCE_PAYMENT_DISABL": REJECTED,
    "ACQ.BUYER_PAYMENT_AMOUNT_DAY_LIM": REJECTED,
    "ACQ.BUYER_PAYMENT_AMOUNT_MONTH_L": REJECTED,
    "ACQ.ERROR_BUYER_CERTIFY_LEVEL_LI": REJECTED,
    "ACQ.NO_PAYMENT_INSTRUMENTS_AVAIL": REJECTED,
}


def _business(table: dict[Verdict, str]) -> Iterator[tuple[tuple[str, str], Verdict]]:
    for verdict, names in table.items():
        for name in names.split():
            yield ("40004", f"ACQ.{name}"), verdict


PUBLIC: Table = {
    (code, name): verdict
    for code, table in _PUBLIC.items()
    for verdict, names in table.items()
    for name in names.split()
}
REFUND: Table = dict(_business(_REFUND))
ORDER: Table = dict(_business(_ORDER))
