"""The payer's code at the till (`alipay.trade.pay`): paid, refused, or waiting for a password."""

import re
from dataclasses import dataclass
from typing import Any

from sandbox.alipay.amounts import yuan
from sandbox.alipay.envelope import Call
from sandbox.alipay.errors import GatewayError, business, invalid_parameter
from sandbox.alipay.notices import paid_amount, paid_fields
from sandbox.alipay.trades import PAID, Trades
from sandbox.books import Order
from sandbox.faults import Fault

AUTH_CODE = re.compile(r"(2[5-9]|30)\d{14,22}")
SCENES = ("bar_code", "wave_code", "security_code")
PENDING_SECONDS = 5.0
REFUSED = {
    "0001": ("BUYER_BALANCE_NOT_ENOUGH", "买家余额不足"),
    "0002": (
        "PAYMENT_AUTH_CODE_INVALID",
        "支付失败，获取顾客账户信息失败，请顾客刷新付款码后重新收款",
    ),
}
PENDING = {"0003": "paid", "0004": "failed", "0005": "pending"}
ZERO = {"buyer_pay_amount": "0.00", "invoice_amount": "0.00", "point_amount": "0.00"}


@dataclass(frozen=True)
class BarcodePayments:
    """The last four digits of the code decide; see REFUSED and PENDING."""

    trades: Trades

    def pay(self, call: Call, fault: Fault | None) -> dict[str, Any]:
        """Answer `alipay.trade.pay`; raises GatewayError."""
        ending = self._read_code(call.content)
        order = self.trades.accept(call, "pay", shown=False)
        if "pending" not in order.extra:
            self._decide(order, ending, fault)
        if order.status == PAID:
            return {"code": "10000", "msg": "Success"} | paid_content(order)
        return {"code": "10003", "msg": " order success pay inprocess"} | buyer_content(order)

    def _read_code(self, content: dict[str, Any]) -> str:
        if content.get("scene") not in SCENES:
            raise invalid_parameter("scene")
        code = str(content.get("auth_code", ""))
        if not AUTH_CODE.fullmatch(code):
            raise GatewayError("40004", "ACQ.PAYMENT_AUTH_CODE_INVALID", "付款码无效", fields=ZERO)
        return code[-4:]

    def _decide(self, order: Order, ending: str, fault: Fault | None) -> None:
        params = fault.params if fault is not None and fault.kind == "pending" else None
        if params is not None or ending in PENDING:
            then = (params or {}).get("then", PENDING.get(ending, "paid"))
            seconds = float((params or {}).get("seconds", PENDING_SECONDS))
            order.extra["pending"] = {"then": then, "seconds": seconds}
            self.trades.context.books.put_order(order)
        elif ending in REFUSED:
            raise business(*REFUSED[ending], **ZERO)
        else:
            self.trades.pay(order, order.amount, notify=True)


def buyer_content(order: Order) -> dict[str, Any]:
    """Who pays what, in answers."""
    return {
        "trade_no": order.provider_reference,
        "out_trade_no": order.reference,
        "buyer_logon_id": "159****5620",
        "buyer_user_id": order.payer,
        "total_amount": yuan(paid_amount(order)),
    }


def paid_content(order: Order) -> dict[str, Any]:
    """The answer about a trade that has been paid."""
    paid = {} if order.paid_at is None else {"gmt_payment": f"{order.paid_at:%Y-%m-%d %H:%M:%S}"}
    return buyer_content(order) | paid_fields(order) | paid | {"fund_bill_list": funds(order)}


def funds(order: Order) -> list[dict[str, str]]:
    """Where the money came from; answers say `fund_channel`, notifications `fundChannel`."""
    return [{"amount": yuan(paid_amount(order)), "fund_channel": "ALIPAYACCOUNT"}]
