"""Asynchronous notifications and the synchronous return: what they say, and their signature."""

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from sandbox.alipay.amounts import yuan
from sandbox.alipay.keys import KeyRing
from sandbox.alipay.signing import canonical, sign
from sandbox.books import Order, Refund
from sandbox.context import Context
from sandbox.faults import Fault
from sandbox.side import Message, Notice

# Which channel is told of which state without being asked; refunds are always told.
TRIGGERS = {
    "app": ("TRADE_SUCCESS", "TRADE_CLOSED", "TRADE_FINISHED"),
    "wap": ("TRADE_SUCCESS", "TRADE_CLOSED"),
    "page": ("TRADE_SUCCESS",),
    "precreate": ("TRADE_SUCCESS",),
    "create": ("TRADE_SUCCESS",),
    "pay": ("TRADE_SUCCESS",),
}
RETURNS = {"page": "alipay.trade.page.pay.return", "wap": "alipay.trade.wap.pay.return"}
UNSIGNED = ("sign", "sign_type")
FOREIGN_KEYS = ("foreign_key", "unknown_serial")
Fields = dict[str, str]


@dataclass(frozen=True)
class Herald:
    """Tells the seller's address what happened."""

    context: Context
    keys: KeyRing

    def tell(self, order: Order, refund: Refund | None, *, notify: bool) -> None:
        """Schedule the notification that belongs to the order's new state, if there is one."""
        if notify and (refund is not None or order.status in TRIGGERS[order.channel]):
            self.context.notifier.schedule(self.notice(order, refund))

    def notice(self, order: Order, refund: Refund | None) -> Notice | None:
        """The notification of the state as it is; None without an address."""
        if not order.notify_url:
            return None
        moment = f"{self.context.clock.now():%Y%m%d}00222"
        return Notice(
            notice_id=moment + secrets.token_hex(10),
            provider=order.provider,
            merchant=order.merchant,
            reference=order.reference,
            kind="refund" if refund else "payment",
            url=order.notify_url,
            content=_trade_fields(order) | (_refund_fields(order, refund) if refund else {}),
        )

    def build(self, notice: Notice, fault: Fault | None) -> Message:
        """Sign one attempt afresh; `notify_id` stays, `notify_time` moves on."""
        kind = fault.kind if fault else ""
        app = self.keys.apps[notice.content["app_id"]]
        charset = "GBK" if kind == "gbk" else "utf-8"
        fields: Fields = notice.content | {
            "notify_id": notice.notice_id,
            "notify_type": "trade_status_sync",
            "notify_time": _moment(self._notify_time(kind)),
            "charset": charset,
            "version": "1.0",
            "sign_type": app.sign_type,
        }
        if kind in BEFORE_SIGNING:
            fields |= BEFORE_SIGNING[kind](fields, fault.params if fault else {})
        text = canonical(fields, without=UNSIGNED).encode(charset)
        if kind == "bad_signature":
            text += b" "
        key = self.keys.stranger if kind in FOREIGN_KEYS else app.alipay_key
        fields["sign"] = sign(text, key, app.sign_type)
        if kind in AFTER_SIGNING:
            fields |= AFTER_SIGNING[kind](fields)
        body = urlencode(fields, encoding=charset).encode("ascii")
        content_type = f"application/x-www-form-urlencoded; charset={charset}"
        return Message({"content-type": content_type}, body)

    def return_url(self, order: Order) -> str | None:
        """The seller's page with the signed facts; it proves nothing about the payment."""
        target = order.extra.get("return_url")
        if not target or order.channel not in RETURNS:
            return None
        app = self.keys.apps[order.app_id]
        fields = {
            "charset": "utf-8",
            "out_trade_no": order.reference,
            "method": RETURNS[order.channel],
            "total_amount": yuan(order.amount),
            "trade_no": order.provider_reference or "",
            "auth_app_id": order.app_id,
            "version": "1.0",
            "app_id": order.app_id,
            "sign_type": app.sign_type,
            "seller_id": order.merchant,
            "timestamp": _moment(self.context.clock.now()),
        }
        text = canonical(fields, without=UNSIGNED).encode()
        fields["sign"] = sign(text, app.alipay_key, app.sign_type)
        return f"{target}{'&' if '?' in target else '?'}{urlencode(fields)}"

    def _notify_time(self, kind: str) -> datetime:
        late = timedelta(seconds=301) if kind == "stale" else timedelta()
        return self.context.clock.now() - late


def _wrong_amount(fields: Fields, params: dict[str, Any]) -> Fields:
    real = round(float(fields["total_amount"]) * 100)
    wrong = yuan(int(params.get("amount", real + 1)))
    changed = {"total_amount": wrong}
    if "receipt_amount" in fields:
        changed |= {"receipt_amount": wrong, "buyer_pay_amount": wrong, "invoice_amount": wrong}
    return changed


def _foreign_app(fields: Fields, params: dict[str, Any]) -> Fields:
    other = str(params.get("app_id", "2021000000000001"))
    seller = str(params.get("seller_id", "2088000000000001"))
    return {"app_id": other, "auth_app_id": other, "seller_id": seller} | {
        key: value for key, value in fields.items() if key == "out_trade_no"
    }


def _tampered(fields: Fields) -> Fields:
    return {"total_amount": f"1{fields['total_amount']}"}


def _unsigned(fields: Fields) -> Fields:
    del fields["sign"]
    return {}


def _unreadable_signature(_fields: Fields) -> Fields:
    return {"sign": "WECHATPAY/SIGNTEST/" + secrets.token_hex(16)}


BEFORE_SIGNING: dict[str, Callable[[Fields, dict[str, Any]], Fields]] = {
    "wrong_amount": _wrong_amount,
    "foreign_app": _foreign_app,
}
AFTER_SIGNING: dict[str, Callable[[Fields], Fields]] = {
    "tamper_body": _tampered,
    "signtest": _unreadable_signature,
    "unsigned": _unsigned,
}
NOTIFY_FAULTS = (
    *BEFORE_SIGNING,
    *AFTER_SIGNING,
    *FOREIGN_KEYS,
    "bad_signature",
    "stale",
    "gbk",
)


def buyer(order: Order, name: str) -> Fields:
    """The buyer, under `name` or, where the merchant named them so, as `buyer_open_id`."""
    return {"buyer_open_id" if order.extra.get("by_open_id") else name: order.payer or ""}


def paid_fields(order: Order) -> Fields:
    """What a paid trade says of its money, in queries and notifications alike.

    `credit_pay_mode` where its buyer pays later, by agreement.
    """
    amount = yuan(paid_amount(order)) if order.paid_at else "0.00"
    mode = str(order.extra.get("credit_pay_mode", ""))
    credit = {"credit_pay_mode": mode, "credit_biz_order_id": "ZMCB992021033100004500"}
    return (credit if mode and order.paid_at else {}) | {
        "receipt_amount": amount,
        "buyer_pay_amount": amount,
        "invoice_amount": amount,
        "point_amount": "0.00",
    }


def paid_amount(order: Order) -> int:
    """What the payer really paid, in fen."""
    return int(order.extra.get("paid_amount", order.amount))


def _trade_fields(order: Order) -> Fields:
    fields = {
        "app_id": order.app_id,
        "auth_app_id": order.app_id,
        "trade_no": order.provider_reference or "",
        "out_trade_no": order.reference,
        **buyer(order, "buyer_id"),
        "buyer_logon_id": "159****5620",
        "seller_id": order.merchant,
        "seller_email": "shop@sandbox.example",
        "trade_status": order.status,
        "total_amount": yuan(paid_amount(order)),
        "subject": order.subject,
        "gmt_create": _moment(order.created_at),
    }
    for key in ("body", "passback_params"):
        if order.extra.get(key):
            fields[key] = str(order.extra[key])
    if order.paid_at:
        bill = [{"amount": yuan(paid_amount(order)), "fundChannel": "ALIPAYACCOUNT"}]
        fields |= paid_fields(order) | {
            "gmt_payment": _moment(order.paid_at),
            "fund_bill_list": json.dumps(bill, separators=(",", ":")),
        }
    if order.closed_at:
        fields["gmt_close"] = _moment(order.closed_at)
    return fields


def _refund_fields(order: Order, refund: Refund) -> Fields:
    done = refund.done_at or refund.created_at
    return {
        "out_biz_no": refund.refund_reference,
        "refund_fee": yuan(order.refunded),
        "gmt_refund": f"{_moment(done)}.{done.microsecond // 1000:03d}",
    }


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S")
