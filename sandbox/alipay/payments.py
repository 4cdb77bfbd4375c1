"""The payer's code at the till (`alipay.trade.pay`): paid, refused, or waiting for a password."""

import re
from dataclasses import dataclass
from typing import Any

from sandbox.alipay.amounts import yuan
from sandbox.alipay.envelope import Call
from sandbox.alipay.errors import GatewayError, business, invalid_parameter
from sandbox.alipay.notices import buyer, paid_amount, paid_fields
from sandbox.alipay.trades import PAID, PROVIDER, Trades
from sandbox.books import Order
from sandbox.faults import Fault

AUTH_CODE = re.compile(r"(2[5-9]|30)\d{14,22}")
SCENES = ("bar_code", "wave_code", "security_code")
PENDING_SECONDS = 5.0
ZERO = {"buyer_pay_amount": "0.00", "invoice_amount": "0.00", "point_amount": "0.00"}
# The last four digits of the payer's code decide what happens; any other code pays at once.
# The endings mean the same at WeChat Pay.
PENDING = {"0001": "paid", "0002": "failed", "0003": "pending"}
REFUSED = {
    "0004": business("BUYER_BALANCE_NOT_ENOUGH", "买家余额不足", **ZERO),
    "0005": business("PAYMENT_AUTH_CODE_INVALID", "付款码已失效，请顾客刷新付款码", **ZERO),
    "0006": business("PAYMENT_AUTH_CODE_INVALID", "付款码无效", **ZERO),
}
PAID_BUT_UNKNOWN = {
    "0007": business("SYSTEM_ERROR", "系统错误"),
    "0008": GatewayError("20000", "isp.unknow-error", "服务暂不可用"),
}


@dataclass(frozen=True)
class BarcodePayments:
    """Charges at the till."""

    trades: Trades

    def pay(self, call: Call, fault: Fault | None) -> dict[str, Any]:
        """Answer `alipay.trade.pay`; raises GatewayError."""
        code, books = self._read_code(call.content), self.trades.context.books
        reference = str(call.content.get("out_trade_no"))
        if books.is_code_used(PROVIDER, code, self.trades.seller_id, reference):
            raise business("PAYMENT_AUTH_CODE_INVALID", "付款码已被使用，请顾客刷新付款码", **ZERO)
        order = self.trades.accept(call, "pay", shown=False)
        books.use_code(order, code)
        if "pending" not in order.extra:
            self._decide(order, code[-4:], fault)
        if order.status == PAID:
            return {"code": "10000", "msg": "Success"} | paid_content(order)
        return {"code": "10003", "msg": " order success pay inprocess"} | buyer_content(order)

    def _read_code(self, content: dict[str, Any]) -> str:
        if content.get("scene") not in SCENES:
            raise invalid_parameter("scene")
        code = str(content.get("auth_code", ""))
        if not AUTH_CODE.fullmatch(code):
            raise GatewayError("40004", "ACQ.PAYMENT_AUTH_CODE_INVALID", "付款码无效", fields=ZERO)
        return code

    def _decide(self, order: Order, ending: str, fault: Fault | None) -> None:
        params = fault.params if fault is not None and fault.kind == "pending" else None
        if params is not None or ending in PENDING:
            then = (params or {}).get("then", PENDING.get(ending, "paid"))
            seconds = float((params or {}).get("seconds", PENDING_SECONDS))
            order.extra["pending"] = {"then": then, "seconds": seconds}
            self.trades.context.books.put_order(order)
        elif ending in REFUSED:
            raise REFUSED[ending]
        else:
            self.trades.pay(order, order.amount, notify=True)
        if ending in PAID_BUT_UNKNOWN:
            raise PAID_BUT_UNKNOWN[ending]


def buyer_content(order: Order) -> dict[str, Any]:
    """Who pays what, in answers."""
    return {
        "trade_no": order.provider_reference,
        "out_trade_no": order.reference,
        "buyer_logon_id": "159****5620",
        **buyer(order, "buyer_user_id"),
        "total_amount": yuan(paid_amount(order)),
    }


def paid_content(order: Order) -> dict[str, Any]:
    """The answer about a trade that has been paid."""
    paid = {} if order.paid_at is None else {"gmt_payment": f"{order.paid_at:%Y-%m-%d %H:%M:%S}"}
    return buyer_content(order) | paid_fields(order) | paid | {"fund_bill_list": funds(order)}


def funds(order: Order) -> list[dict[str, str]]:
    """Where the money came from; answers say `fund_channel`, notifications `fundChannel`."""
    return [{"amount": yuan(paid_amount(order)), "fund_channel": "ALIPAYACCOUNT"}]
