"""Nodes of Alipay's answers, as the tests of the verbs need them."""

PRECREATE = "alipay.trade.precreate"
CREATE = "alipay.trade.create"
PAY = "alipay.trade.pay"
QUERY = "alipay.trade.query"
CLOSE = "alipay.trade.close"
CANCEL = "alipay.trade.cancel"
REFUND = "alipay.trade.refund"
REFUND_QUERY = "alipay.trade.fastpay.refund.query"

OK = {"code": "10000", "msg": "Success"}
WAITING = OK | {"trade_status": "WAIT_BUYER_PAY", "total_amount": "19.99"}
PAID = OK | {
    "trade_status": "TRADE_SUCCESS",
    "trade_no": "2026",
    "total_amount": "19.99",
    "send_pay_date": "2026-03-01 12:05:06",
}
CLOSED = OK | {"trade_status": "TRADE_CLOSED", "total_amount": "19.99"}
REVERSED = PAID | {"trade_status": "TRADE_CLOSED"}
DONE = OK | {"out_request_no": "9" * 8 + "222233334444555555555555", "refund_amount": "7.00"}
DONE |= {"refund_status": "REFUND_SUCCESS", "gmt_refund_pay": "2026-03-01 12:05:06"}


def no(sub_code: str, code: str = "40004", **fields: str) -> dict[str, str]:
    return {"code": code, "msg": "no", "sub_code": sub_code, "sub_msg": "why", **fields}


MISSING = no("ACQ.TRADE_NOT_EXIST")
