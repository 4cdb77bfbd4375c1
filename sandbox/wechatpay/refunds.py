from datetime import datetime, timedelta
from typing import Any

from sandbox.books import Order, Refund
from sandbox.context import Context
from sandbox.side import ControlError
from sandbox.wechatpay import fields
from sandbox.wechatpay.answers import Reply
from sandbox.wechatpay.call import PROVIDER, Call
from sandbox.wechatpay.errors import ApiError
from sandbox.wechatpay.notices import refund_notice
from sandbox.wechatpay.payer import random_digits
from sandbox.wechatpay.views import PAID_STATES, refund_answer, total

PROCESSING_SECONDS = 2.0
LONGEST_AGE = timedelta(days=365)
MOST_PARTIALS = 50
# ABNORMAL (the payer's card is dead) can still be rescued by hand.
NEXT_STATES = {
    "PROCESSING": ("SUCCESS", "CLOSED", "ABNORMAL"),
    "ABNORMAL": ("SUCCESS", "CLOSED"),
}


class Refunds:
    """Giving money back: accepted now, done later."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def apply(self, call: Call) -> Reply:
        """`POST /v3/refund/domestic/refunds`; the same number is the same refund."""
        fields.check(call.body, fields.REFUND)
        _check_sources(call.body["amount"])
        order = self._order(call)
        number, mchid = call.body["out_refund_no"], call.merchant.mchid
        known = self._context.books.get_refund(PROVIDER, mchid, number)
        if known and known.request != call.body:
            raise ApiError("INVALID_REQUEST", "订单金额或退款金额与之前请求不一致，请核实后再试")
        refund = known or self._accept(call, order)
        return Reply(200, refund_answer(refund, order))

    def query(self, call: Call) -> Reply:
        """`GET /v3/refund/domestic/refunds/{out_refund_no}`."""
        number, mchid = call.path["out_refund_no"], call.merchant.mchid
        refund = self._context.books.get_refund(PROVIDER, mchid, number)
        if refund is None or call.params("empty_refund_query") is not None:
            raise ApiError("RESOURCE_NOT_EXISTS", "退款单不存在")
        return Reply(200, refund_answer(refund, self.order_of(refund)))

    def rescue(self, call: Call) -> Reply:
        """`POST …/refunds/{refund_id}/apply-abnormal-refund`: the money goes another way.

        Where to is the payer's bank card, whose number and name come encrypted, or the merchant's.
        """
        fields.check(call.body, fields.ABNORMAL_REFUND)
        number, mchid = call.body["out_refund_no"], call.merchant.mchid
        refund = self._context.books.get_refund(PROVIDER, mchid, number)
        if refund is None or refund.provider_reference != call.path["refund_id"]:
            raise ApiError("RESOURCE_NOT_EXISTS", "退款单不存在")
        to_payer = call.body["type"] == "USER_BANK_CARD"
        if to_payer:
            _check_card(call)
        if "receiver" not in refund.extra:
            self._redirect(refund, to_payer=to_payer)
        return Reply(200, refund_answer(refund, self.order_of(refund)))

    def _redirect(self, refund: Refund, *, to_payer: bool) -> None:
        if refund.status != "ABNORMAL":
            raise ApiError("INVALID_REQUEST", "退款单状态不是退款异常，不能发起异常退款")
        refund.status, since = "PROCESSING", self._context.clock.now().isoformat()
        refund.extra["channel"] = "OTHER_BANKCARD"
        refund.extra["receiver"] = "招商银行信用卡0403" if to_payer else "商户结算银行账户"
        pending = {"seconds": PROCESSING_SECONDS, "then": "SUCCESS", "since": since}
        refund.extra["pending"] = pending
        self._context.books.put_refund(refund)

    def order_of(self, refund: Refund) -> Order:
        """The order that was refunded."""
        order = self._context.books.get_order(PROVIDER, refund.merchant, refund.reference)
        if order is None:
            raise LookupError(f"refund {refund.refund_reference} without its order")
        return order

    def complete(self, refund: Refund, status: str) -> Refund:
        """The refund reaches `status`, its money moves, and the merchant is told.

        Raises ControlError for a step that WeChat Pay does not take.
        """
        if status not in NEXT_STATES.get(refund.status, ()):
            raise ControlError(f"a {refund.status} refund does not become {status}")
        order, now = self.order_of(refund), self._context.clock.now()
        refund.status, refund.done_at = status, now
        refund.extra.pop("pending", None)
        if status == "SUCCESS":
            order.refunded += refund.amount
            self._context.books.settle_refund(refund, order, now)
        else:
            self._context.books.put_refund(refund)
        self._context.notifier.schedule(refund_notice(refund, order))
        return refund

    def let_time_pass(self) -> None:
        """Finish the refunds whose bank has had its time."""
        for refund in self._context.books.refunds(PROVIDER, status="PROCESSING"):
            pending = refund.extra.get("pending")
            if pending is None:
                continue
            since = pending.get("since")
            begun = datetime.fromisoformat(since) if since else refund.created_at
            if self._context.clock.elapsed(begun) >= pending["seconds"]:
                self.complete(refund, pending["then"])

    def _order(self, call: Call) -> Order:
        number, reference = call.body.get("transaction_id"), call.body.get("out_trade_no")
        if not (number or reference):
            raise fields.refused("out_trade_no", "", "必填性规则校验失败，此字段为必填项")
        books = self._context.books
        if number:
            order = books.order_by_provider_reference(PROVIDER, number)
        else:
            order = books.get_order(PROVIDER, call.merchant.mchid, reference or "")
        if order is None or order.merchant != call.merchant.mchid:
            raise ApiError("RESOURCE_NOT_EXISTS", "订单不存在")
        if reference not in (None, order.reference):
            raise ApiError("PARAM_ERROR", "transaction_id与out_trade_no不匹配")
        return order

    def _accept(self, call: Call, order: Order) -> Refund:
        now, amount = self._context.clock.now(), call.body["amount"]
        self._check(order, amount, now)
        refund = Refund(
            provider=PROVIDER,
            merchant=order.merchant,
            reference=order.reference,
            refund_reference=call.body["out_refund_no"],
            provider_reference=f"5030{random_digits(7)}{now:%Y%m%d}{random_digits(10)}",
            amount=amount["refund"],
            status="PROCESSING",
            created_at=now,
            notify_url=call.body.get("notify_url") or order.notify_url,
            request=call.body,
        )
        order.status = "REFUND"
        with self._context.books.transaction():
            self._context.books.put_order(order)
            self._context.books.put_refund(refund)
        return self._begin(refund, call)

    def _begin(self, refund: Refund, call: Call) -> Refund:
        params = call.params("refund_status") or {}
        status = params.get("status", "PROCESSING")
        if status in NEXT_STATES["PROCESSING"]:
            return self.complete(refund, status)
        then = params.get("then", "SUCCESS")
        if then in NEXT_STATES["PROCESSING"]:
            seconds = params.get("seconds", PROCESSING_SECONDS)
            refund.extra["pending"] = {"seconds": seconds, "then": then}
            self._context.books.put_refund(refund)
        return refund

    def _check(self, order: Order, amount: dict[str, int], now: datetime) -> None:
        if order.status not in PAID_STATES or order.paid_at is None:
            raise ApiError("INVALID_REQUEST", "订单状态错误，未支付的订单不能退款")
        if amount["total"] != total(order):
            raise ApiError("INVALID_REQUEST", "订单金额或退款金额与之前请求不一致，请核实后再试")
        if now - order.paid_at > LONGEST_AGE:
            raise ApiError("INVALID_REQUEST", "订单已超过可退款的最大期限")
        earlier = [item for item in self._context.books.refunds_of(order) if _holds(item)]
        if len(earlier) >= MOST_PARTIALS:
            raise ApiError("INVALID_REQUEST", "部分退款次数超限")
        if sum(item.amount for item in earlier) + amount["refund"] > total(order):
            raise ApiError("INVALID_REQUEST", "累计退款金额大于支付金额")


def _check_sources(amount: dict[str, Any]) -> None:
    """The accounts that pay for the refund are named once each and pay for all of it."""
    sources = amount.get("from")
    if sources is None:
        return
    accounts = [source["account"] for source in sources]
    if len(set(accounts)) != len(accounts):
        raise fields.refused("amount.from", accounts, "账户类型不能重复")
    paid = sum(source["amount"] for source in sources)
    if sources and paid != amount["refund"]:
        raise fields.refused("amount.from", paid, "出资金额之和应等于退款金额")


def _check_card(call: Call) -> None:
    for name in ("bank_type", "bank_account", "real_name"):
        value = call.body.get(name)
        if value is None:
            raise fields.refused(name, "", "必填性规则校验失败，此字段为必填项")
        if name != "bank_type" and not call.merchant.can_decrypt(value):
            raise ApiError("PARAM_ERROR", f"敏感字段{name}解密失败，请使用微信支付公钥加密")


def _holds(refund: Refund) -> bool:
    return refund.status != "CLOSED"
