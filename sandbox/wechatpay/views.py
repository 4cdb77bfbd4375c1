# How WeChat Pay words an order and a refund, in answers and in notifications.
from datetime import datetime
from typing import Any

from sandbox.books import Order, Refund
from sandbox.clock import BEIJING

TRADE_TYPES = {
    "app": "APP",
    "jsapi": "JSAPI",
    "native": "NATIVE",
    "h5": "MWEB",
    "codepay": "MICROPAY",
}
STATE_TEXTS = {
    "NOTPAY": "订单未支付",
    "USERPAYING": "用户支付中，需要输入密码",
    "SUCCESS": "支付成功",
    "REFUND": "订单发生过退款，退款详情请查询退款单",
    "CLOSED": "订单已关闭",
    "REVOKED": "订单已撤销",
    "PAYERROR": "支付失败(其他原因，如银行返回失败)",
}
PAID_STATES = ("SUCCESS", "REFUND")


def moment(at: datetime) -> str:
    """RFC 3339 with whole seconds and Beijing's offset."""
    return at.astimezone(BEIJING).isoformat(timespec="seconds")


def total(order: Order) -> int:
    """What the payer's order was over, in fen, before coupons."""
    return int(order.extra.get("paid_total", order.amount))


def payer_total(order: Order) -> int:
    """What left the payer's account, in fen."""
    return total(order) - int(order.extra.get("coupon", 0))


def transaction(order: Order) -> dict[str, Any]:
    """The order as a query and a payment's notification show it.

    Before payment most fields are absent; `payer_total` is less than `total` after a coupon.
    """
    content: dict[str, Any] = {
        "amount": {"currency": "CNY", "payer_currency": "CNY", "total": total(order)},
        "appid": order.app_id,
        "mchid": order.merchant,
        "out_trade_no": order.reference,
        "promotion_detail": _promotions(order),
        "scene_info": {"device_id": _device(order)},
        "trade_state": order.status,
        "trade_state_desc": STATE_TEXTS[order.status],
    }
    if order.paid_at is not None:
        content["amount"]["payer_total"] = payer_total(order)
        content |= {
            "attach": order.request.get("attach", ""),
            "bank_type": "OTHERS",
            "payer": {"openid": order.payer},
            "success_time": moment(order.paid_at),
            "trade_type": TRADE_TYPES[order.channel],
            "transaction_id": order.provider_reference,
        }
    return content


def refund_answer(refund: Refund, order: Order) -> dict[str, Any]:
    """The refund as the refund API shows it."""
    content = _refund(refund, order)
    content["amount"] |= {
        "currency": "CNY",
        "discount_refund": _discount(refund, order),
        "from": refund.request["amount"].get("from", []),
        "settlement_refund": refund.amount - _discount(refund, order),
        "settlement_total": payer_total(order),
    }
    return content | {
        "channel": refund.extra.get("channel", "ORIGINAL"),
        "create_time": moment(refund.created_at),
        "funds_account": refund.request.get("funds_account", "UNSETTLED"),
        "promotion_detail": [],
        "status": refund.status,
    }


def refund_notification(refund: Refund, order: Order) -> dict[str, Any]:
    """The refund as its notification shows it: `refund_status`, `mchid`, and no currency."""
    content = _refund(refund, order)
    return content | {"mchid": order.merchant, "refund_status": refund.status}


def _refund(refund: Refund, order: Order) -> dict[str, Any]:
    content: dict[str, Any] = {
        "amount": {
            "payer_refund": refund.amount - _discount(refund, order),
            "payer_total": payer_total(order),
            "refund": refund.amount,
            "total": total(order),
        },
        "out_refund_no": refund.refund_reference,
        "out_trade_no": order.reference,
        "refund_id": refund.provider_reference,
        "transaction_id": order.provider_reference,
        "user_received_account": refund.extra.get("receiver", "支付用户零钱"),
    }
    if refund.status == "SUCCESS" and refund.done_at is not None:
        content["success_time"] = moment(refund.done_at)
    return content


def _discount(refund: Refund, order: Order) -> int:
    """How much of the refund goes back into the coupon: all of it with the whole order."""
    return total(order) - payer_total(order) if refund.amount == total(order) else 0


def _device(order: Order) -> str:
    scene = order.request.get("scene_info") or {}
    return str(scene.get("device_id", ""))


def _promotions(order: Order) -> list[dict[str, Any]]:
    coupon = order.extra.get("coupon")
    if not coupon or order.paid_at is None:
        return []
    return [
        {
            "coupon_id": "109519",
            "name": "sandbox coupon",
            "scope": "GLOBAL",
            "type": "CASH",
            "amount": coupon,
            "wechatpay_contribute": coupon,
            "merchant_contribute": 0,
            "other_contribute": 0,
            "currency": "CNY",
        }
    ]
