"""Giving money back: once per request number, never more than was paid."""

from dataclasses import dataclass
from typing import Any

from sandbox.alipay.amounts import fen, yuan
from sandbox.alipay.envelope import Call, is_asked
from sandbox.alipay.errors import business, invalid_parameter
from sandbox.alipay.notices import buyer, paid_amount
from sandbox.alipay.trades import CLOSED, FINISHED, PAID, Trades
from sandbox.books import Order, Refund
from sandbox.faults import Fault

DONE = "REFUND_SUCCESS"
PROCESSING = "REFUND_PROCESSING"
FAILED = "REFUND_FAIL"
ZERO = {"refund_fee": "0.00", "send_back_fee": "0.00"}
PENDING_SECONDS = 5.0


@dataclass(frozen=True)
class Refunds:
    """The refunds of the seller's trades."""

    trades: Trades

    def refund(self, call: Call, fault: Fault | None) -> dict[str, Any]:
        """Answer `alipay.trade.refund`; raises GatewayError."""
        order = self.trades.find(call.content)
        amount = fen(call.content.get("refund_amount"), "refund_amount")
        number = self._number(call.content, order, amount)
        known = self._get(order, number)
        if known is not None and known.amount != amount:
            raise business("DISCORDANT_REPEAT_REQUEST", "请求信息与原请求不一致", **ZERO)
        if known is not None and known.status != FAILED:
            return self._answer(order, known, changed=False) | _detail(call, known)
        self._check_state(order)
        self._check_sum(order, amount)
        refund = Refund(
            provider=order.provider,
            merchant=order.merchant,
            reference=order.reference,
            refund_reference=number,
            amount=amount,
            status=PROCESSING,
            created_at=self.trades.context.clock.now(),
            notify_url=order.notify_url,
            extra={"reason": call.content.get("refund_reason")},
        )
        changed = self._move(order, refund, fault)
        return self._answer(order, refund, changed=changed) | _detail(call, refund)

    def query(self, call: Call, fault: Fault | None) -> dict[str, Any]:
        """Answer `alipay.trade.fastpay.refund.query`: an empty success is a refund not done."""
        order = self.trades.find(call.content)
        number = call.content.get("out_request_no")
        if not number:
            raise invalid_parameter("out_request_no")
        refund = self._get(order, str(number))
        hidden = fault is not None and fault.kind == "empty_refund_query"
        if refund is None or refund.status != DONE or hidden:
            return {}
        content = {
            "out_request_no": refund.refund_reference,
            "out_trade_no": order.reference,
            "trade_no": order.provider_reference,
            "refund_amount": yuan(refund.amount),
            "total_amount": yuan(paid_amount(order)),
            "refund_status": refund.status,
            "refund_reason": refund.extra.get("reason") or "",
        }
        if refund.done_at and is_asked(call.content, "gmt_refund_pay"):
            content["gmt_refund_pay"] = f"{refund.done_at:%Y-%m-%d %H:%M:%S}"
        return content | _detail(call, refund)

    def give_back_all(self, order: Order) -> None:
        """The rest of a paid trade goes back, because the trade is cancelled."""
        now = self.trades.context.clock.now()
        refund = Refund(
            provider=order.provider,
            merchant=order.merchant,
            reference=order.reference,
            refund_reference=f"{order.reference}_cancel",
            amount=paid_amount(order) - self._reserved(order),
            status=PROCESSING,
            created_at=now,
        )
        self.settle(order, refund)

    def settle(self, order: Order, refund: Refund) -> None:
        """The money moves back now."""
        now = self.trades.context.clock.now()
        refund.status, refund.done_at = DONE, now
        order.refunded += refund.amount
        if order.refunded == paid_amount(order):
            order.status, order.closed_at = CLOSED, now
        self.trades.context.books.settle_refund(refund, order, now)
        self.trades.herald.tell(order, refund, notify=True)

    def fail(self, refund: Refund) -> None:
        """The money does not move; the same request number may try again."""
        refund.status = FAILED
        self.trades.context.books.put_refund(refund)

    def end_pending(self, refund: Refund) -> None:
        """Finish a refund whose scripted time has come."""
        then = refund.extra["then"]
        waited = self.trades.context.clock.elapsed(refund.created_at)
        if then == "PROCESSING" or waited < refund.extra["seconds"]:
            return
        order = self.trades.context.books.get_order(
            refund.provider, refund.merchant, refund.reference
        )
        if order is not None and then == "SUCCESS":
            self.settle(order, refund)
        else:
            self.fail(refund)

    def _move(self, order: Order, refund: Refund, fault: Fault | None) -> bool:
        kind = fault.kind if fault else ""
        params = fault.params if fault else {}
        if kind == "fund_change_n" and not params.get("executed", True):
            return False
        if kind == "refund_status" and params.get("status") != "SUCCESS":
            pending = params.get("status", "PROCESSING") == "PROCESSING"
            refund.status = PROCESSING if pending else FAILED
            seconds = float(params.get("seconds", PENDING_SECONDS))
            refund.extra |= {"then": params.get("then", "SUCCESS"), "seconds": seconds}
            self.trades.context.books.put_refund(refund)
            return False
        self.settle(order, refund)
        return kind != "fund_change_n"

    def _number(self, content: dict[str, Any], order: Order, amount: int) -> str:
        if number := content.get("out_request_no"):
            return str(number)
        if amount != paid_amount(order):
            raise business("REFUND_AMT_NOT_EQUAL_TOTAL", "撤销或退款金额与订单金额不一致", **ZERO)
        return order.reference

    def _check_state(self, order: Order) -> None:
        if order.status == FINISHED:
            raise business("TRADE_HAS_FINISHED", "交易已完结", **ZERO)
        if order.status == CLOSED and order.refunded:
            raise business("REASON_TRADE_REFUND_FEE_ERR", "退款金额无效", **ZERO)
        if order.status != PAID:
            raise business("TRADE_STATUS_ERROR", "交易状态不合法", **ZERO)

    def _check_sum(self, order: Order, amount: int) -> None:
        if self._reserved(order) + amount > paid_amount(order):
            raise business("REASON_TRADE_REFUND_FEE_ERR", "退款金额无效", **ZERO)

    def _reserved(self, order: Order) -> int:
        refunds = self.trades.context.books.refunds_of(order)
        return sum(refund.amount for refund in refunds if refund.status != FAILED)

    def _get(self, order: Order, number: str) -> Refund | None:
        return self.trades.context.books.get_refund(
            order.provider, order.merchant, number, order.reference
        )

    def _answer(self, order: Order, refund: Refund, *, changed: bool) -> dict[str, Any]:
        content = {
            "trade_no": order.provider_reference,
            "out_trade_no": order.reference,
            "buyer_logon_id": "159****5620",
            **buyer(order, "buyer_user_id"),
            "fund_change": "Y" if changed else "N",
            "refund_fee": yuan(order.refunded),
            "send_back_fee": yuan(refund.amount if changed else 0),
        }
        if refund.done_at:
            content["gmt_refund_pay"] = f"{refund.done_at:%Y-%m-%d %H:%M:%S}"
        return content


def _detail(call: Call, refund: Refund) -> dict[str, Any]:
    """Where the money of a finished refund went, for callers who want it."""
    if refund.status != DONE or not is_asked(call.content, "refund_detail_item_list"):
        return {}
    item = {"fund_channel": "ALIPAYACCOUNT", "amount": yuan(refund.amount)}
    return {"refund_detail_item_list": [item]}
