"""What each method of the gateway does with a verified call."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sandbox.alipay.contents import SHORTEST_OPEN_ID, check_buyer, check_content, is_json_object
from sandbox.alipay.envelope import Call, is_asked
from sandbox.alipay.errors import GatewayError, business, invalid_parameter
from sandbox.alipay.notices import buyer, paid_fields
from sandbox.alipay.payments import BarcodePayments, buyer_content, funds
from sandbox.alipay.refunds import Refunds
from sandbox.alipay.trades import FINISHED, PAID, WAITING, Trades
from sandbox.books import Order
from sandbox.faults import Fault

CHECKOUTS = {
    "alipay.trade.app.pay": "app",
    "alipay.trade.wap.pay": "wap",
    "alipay.trade.page.pay": "page",
}
OPERATIONS = {
    "alipay.trade.precreate": "create",
    "alipay.trade.create": "create",
    "alipay.trade.pay": "create",
    "alipay.trade.query": "query",
    "alipay.trade.close": "close",
    "alipay.trade.cancel": "cancel",
    "alipay.trade.refund": "refund",
    "alipay.trade.orderinfo.sync": "sync",
    "alipay.trade.fastpay.refund.query": "refund_query",
}
SYNCED = ("biz_type", "orig_request_no", "order_biz_info")
LONGEST_NUMBER = 64
CANCEL_WINDOW = timedelta(hours=24)
Content = dict[str, Any]


@dataclass(frozen=True)
class Methods:
    """The server-to-server methods by name."""

    trades: Trades
    refunds: Refunds
    barcodes: BarcodePayments

    def run(self, call: Call, fault: Fault | None) -> Content:
        """Execute the call; refusals come back as content too."""
        try:
            check_content(call.content)
            content = self._handlers()[call.method](call, fault)
        except GatewayError as error:
            return error.content()
        return {"code": "10000", "msg": "Success"} | content

    def _handlers(self) -> dict[str, Callable[[Call, Fault | None], Content]]:
        return {
            "alipay.trade.precreate": self._precreate,
            "alipay.trade.create": self._create,
            "alipay.trade.pay": self.barcodes.pay,
            "alipay.trade.query": self._query,
            "alipay.trade.close": self._close,
            "alipay.trade.cancel": self._cancel,
            "alipay.trade.orderinfo.sync": self._sync,
            "alipay.trade.refund": self.refunds.refund,
            "alipay.trade.fastpay.refund.query": self.refunds.query,
        }

    def _precreate(self, call: Call, _fault: Fault | None) -> Content:
        order = self.trades.accept(call, "precreate", shown=True)
        return {"out_trade_no": order.reference, "qr_code": cashier_url(self.trades, order)}

    def _create(self, call: Call, _fault: Fault | None) -> Content:
        if not call.content.get("buyer_id") and not call.content.get("buyer_open_id"):
            raise invalid_parameter("buyer_id")
        is_strict = self.trades.context.strictness.holds("alipay_buyer_open_id")
        check_buyer(call.content, SHORTEST_OPEN_ID if is_strict else 1)
        order = self.trades.accept(call, "create", shown=False)
        return {"out_trade_no": order.reference, "trade_no": order.provider_reference}

    def _query(self, call: Call, _fault: Fault | None) -> Content:
        order = self.trades.find(call.content)
        content = buyer_content(order) | {"trade_status": order.status} | paid_fields(order)
        if order.paid_at:
            content["send_pay_date"] = f"{order.paid_at:%Y-%m-%d %H:%M:%S}"
            if is_asked(call.content, "fund_bill_list"):
                content["fund_bill_list"] = funds(order)
        if order.extra.get("passback_params"):
            content["passback_params"] = order.extra["passback_params"]
        return content

    def _close(self, call: Call, _fault: Fault | None) -> Content:
        order = self.trades.find(call.content)
        if order.status != WAITING:
            raise business("REASON_TRADE_STATUS_INVALID", "交易状态异常")
        self.trades.close(order)
        return {"out_trade_no": order.reference, "trade_no": order.provider_reference}

    def _sync(self, call: Call, _fault: Fault | None) -> Content:
        """Keep what the seller says of how the order went; it changes no money."""
        request_number, kind = call.content.get("out_request_no"), call.content.get("biz_type")
        for name, value in (("out_request_no", request_number), ("biz_type", kind)):
            if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_NUMBER:
                raise invalid_parameter(name)
        if not call.content.get("trade_no"):
            raise invalid_parameter("trade_no")
        info = call.content.get("order_biz_info")
        if info is not None and not is_json_object(info):
            raise invalid_parameter("order_biz_info")
        order = self.trades.find(call.content)
        synced = order.extra.setdefault("synced", {})
        content = {name: call.content.get(name) for name in SYNCED}
        if synced.get(request_number, content) != content:
            raise business("DISCORDANT_REPEAT_REQUEST", "请求信息与原请求不一致")
        synced[request_number] = content
        self.trades.context.books.put_order(order)
        return {
            "trade_no": order.provider_reference,
            "out_trade_no": order.reference,
            **buyer(order, "buyer_user_id"),
        }

    def _cancel(self, call: Call, _fault: Fault | None) -> Content:
        try:
            order = self.trades.find(call.content)
        except GatewayError as error:
            if error.sub_code != "ACQ.TRADE_NOT_EXIST":
                raise
            return {"out_trade_no": call.content.get("out_trade_no", ""), "retry_flag": "N"}
        known = {
            "out_trade_no": order.reference,
            "trade_no": order.provider_reference,
            "retry_flag": "N",
        }
        action = order.extra.get("cancelled") or self._undo(order)
        return known | ({"action": action} if action else {})

    def _undo(self, order: Order) -> str | None:
        if order.status == FINISHED:
            raise business("TRADE_HAS_FINISHED", "交易已完结")
        clock = self.trades.context.clock
        if clock.is_past(order.created_at, order.created_at + CANCEL_WINDOW):
            raise business("TRADE_CANCEL_TIME_OUT", "超过撤销时间范围")
        if order.status not in (WAITING, PAID):
            return None
        action = "close" if order.status == WAITING else "refund"
        order.extra["cancelled"] = action
        if action == "close":
            self.trades.close(order)
        else:
            self.refunds.give_back_all(order)
        return action


def cashier_url(trades: Trades, order: Order) -> str:
    """The page where the payer meets the order."""
    return f"{trades.context.base_url}/cashier/alipay/{order.reference}"
