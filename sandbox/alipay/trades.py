"""The trade: how it comes to be, what it may become, and when its time is over."""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sandbox.alipay.amounts import fen
from sandbox.alipay.envelope import Call, beijing_time
from sandbox.alipay.errors import business, invalid_parameter
from sandbox.alipay.notices import Herald
from sandbox.books import Order
from sandbox.context import Context

PROVIDER = "alipay"
SHOWN = "SHOWN"
"""Ours alone: a checkout exists, but the payer has not opened it, so there is no trade yet."""
WAITING = "WAIT_BUYER_PAY"
PAID = "TRADE_SUCCESS"
CLOSED = "TRADE_CLOSED"
FINISHED = "TRADE_FINISHED"

PRODUCTS = {
    "app": ("QUICK_MSECURITY_PAY",),
    "wap": ("QUICK_WAP_WAY", "QUICK_WAP_PAY"),
    "page": ("FAST_INSTANT_TRADE_PAY",),
    "precreate": ("FACE_TO_FACE_PAYMENT", "QR_CODE_OFFLINE"),
    "create": ("JSAPI_PAY", "FACE_TO_FACE_PAYMENT"),
    "pay": ("FACE_TO_FACE_PAYMENT",),
}
REFERENCE = re.compile(r"[A-Za-z0-9_]{1,64}")
TIMEOUT = re.compile(r"(\d{1,4})([mhd])")
UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
LONGEST = timedelta(days=15)
REFUND_WINDOW = timedelta(days=365)


@dataclass(frozen=True)
class Trades:
    """The seller's trades."""

    context: Context
    seller_id: str
    herald: Herald

    def accept(self, call: Call, channel: str, *, shown: bool) -> Order:
        """Store the order that a call asks for, or continue the one that it repeats.

        `shown` orders become a trade only when the payer opens them. Raises GatewayError.
        """
        order = self._read(call, channel)
        known = self._known(order.reference)
        if known is not None and known.status != SHOWN:
            self._check_repeat(known, order)
            return known
        if not shown:
            order = self._begun(order)
        self.context.books.put_order(order)
        return order

    def open(self, order: Order) -> Order:
        """The payer scanned or opened the checkout: now there is a trade."""
        if order.status != SHOWN:
            return order
        order = self._begun(order)
        self.context.books.put_order(order)
        return order

    def find(self, content: dict[str, Any]) -> Order:
        """The trade that `trade_no` (which wins) or `out_trade_no` names; raises GatewayError."""
        number, reference = content.get("trade_no"), content.get("out_trade_no")
        if not number and not reference:
            raise invalid_parameter("trade_no和out_trade_no不能同时为空")
        if number:
            order = self.context.books.order_by_provider_reference(PROVIDER, str(number))
        else:
            order = self._known(str(reference))
        if order is None or order.status == SHOWN:
            raise business("TRADE_NOT_EXIST", "交易不存在")
        return self.refresh(order)

    def pay(self, order: Order, amount: int, *, notify: bool) -> Order:
        """The payer's money moves; `amount` is fen."""
        now = self.context.clock.now()
        order.status, order.paid_at = PAID, now
        order.extra["paid_amount"] = amount
        self.context.books.capture(order, amount, now)
        self.herald.tell(order, None, notify=notify)
        return order

    def close(self, order: Order, *, notify: bool = True) -> Order:
        """Nobody can pay this trade any more."""
        order.status, order.closed_at = CLOSED, self.context.clock.now()
        self.context.books.put_order(order)
        self.herald.tell(order, None, notify=notify)
        return order

    def refresh(self, order: Order) -> Order:
        """Let the time that passed take its effect."""
        if order.status == WAITING:
            return self._end_waiting(order)
        if order.status == PAID and order.paid_at is not None:
            window = order.paid_at + REFUND_WINDOW
            if self.context.clock.is_past(order.paid_at, window):
                order.status = FINISHED
                self.context.books.put_order(order)
                self.herald.tell(order, None, notify=True)
        return order

    def is_expired(self, order: Order) -> bool:
        """Whether the time to pay has passed."""
        if order.expires_at is None:
            return False
        return self.context.clock.is_past(order.created_at, order.expires_at)

    def _end_waiting(self, order: Order) -> Order:
        pending = order.extra.get("pending")
        if pending and self.context.clock.elapsed(order.created_at) >= pending["seconds"]:
            del order.extra["pending"]
            if pending["then"] == "paid":
                return self.pay(order, order.amount, notify=True)
            if pending["then"] == "failed":
                return self.close(order)
        if self.is_expired(order):
            return self.close(order)
        return order

    def _known(self, reference: str) -> Order | None:
        order = self.context.books.get_order(PROVIDER, self.seller_id, reference)
        return order and self.refresh(order)

    def _begun(self, order: Order) -> Order:
        now = self.context.clock.now()
        order.status, order.created_at = WAITING, now
        order.provider_reference = f"{now:%Y%m%d}22" + "".join(
            secrets.choice("0123456789") for _ in range(18)
        )
        order.payer = order.payer or "2088622987654321"
        if order.expires_at is None:
            order.expires_at = now + timedelta(seconds=order.extra["timeout_seconds"])
        return order

    def _check_repeat(self, known: Order, order: Order) -> None:
        if known.request != order.request:
            raise business("CONTEXT_INCONSISTENT", "交易信息被篡改")
        if known.status in (PAID, FINISHED):
            raise business("TRADE_HAS_SUCCESS", "交易已被支付")
        if known.status == CLOSED:
            raise business("TRADE_HAS_CLOSE", "交易已经关闭")
        if order.payer and order.payer != known.payer:
            raise business("TRADE_BUYER_NOT_MATCH", "交易买家不匹配")

    def _read(self, call: Call, channel: str) -> Order:
        content = call.content
        check_order(content, channel, self.seller_id)
        expires_at, timeout = read_expiry(content, call)
        amount = fen(content.get("total_amount"), "total_amount")
        payer = content.get("buyer_id") or content.get("buyer_open_id")
        return Order(
            provider=PROVIDER,
            merchant=self.seller_id,
            app_id=call.app.app_id,
            reference=content["out_trade_no"],
            amount=amount,
            channel=channel,
            status=SHOWN,
            subject=content["subject"],
            payer=str(payer) if payer else None,
            notify_url=call.params.get("notify_url"),
            request={"amount": amount, "subject": content["subject"], "channel": channel},
            created_at=call.at,
            expires_at=expires_at,
            extra={
                "return_url": call.params.get("return_url"),
                "body": content.get("body"),
                "passback_params": content.get("passback_params"),
                "timeout_seconds": timeout.total_seconds(),
                "by_open_id": bool(payer and not content.get("buyer_id")),
            },
        )


def check_order(content: dict[str, Any], channel: str, seller_id: str) -> None:
    """Refuse an order whose fields the real gateway would refuse; raises GatewayError."""
    reference, subject = content.get("out_trade_no"), content.get("subject")
    if not isinstance(reference, str) or not REFERENCE.fullmatch(reference):
        raise invalid_parameter("out_trade_no")
    if not isinstance(subject, str) or not 1 <= len(subject) <= 256:  # noqa: PLR2004 - the sheet's
        raise invalid_parameter("subject")
    product = content.get("product_code")
    if (product or channel == "page") and product not in PRODUCTS[channel]:
        raise invalid_parameter("product_code")
    if content.get("seller_id") not in (None, "", seller_id):
        raise business("PARTNER_ERROR", "卖家信息错误")


def read_expiry(content: dict[str, Any], call: Call) -> tuple[datetime | None, timedelta]:
    """The fixed end if one was given, and how long a trade may wait from its creation."""
    if text := content.get("time_expire"):
        at = beijing_time(str(text))
        if at is None or at <= call.at:
            raise invalid_parameter("time_expire")
        return at, LONGEST
    text = str(content.get("timeout_express") or "15d")
    if text == "1c":
        return call.at.replace(hour=23, minute=59, second=59), LONGEST
    match = TIMEOUT.fullmatch(text)
    if match is None:
        raise invalid_parameter("timeout_express")
    timeout = int(match[1]) * UNITS[match[2]]
    if not timedelta(minutes=1) <= timeout <= LONGEST:
        raise invalid_parameter("timeout_express")
    return None, timeout
