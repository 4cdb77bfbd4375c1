"""Domain to wire and wire to domain: every word of WeChat Pay's own lives here. Pure.

Docs: pay.weixin.qq.com, direct merchant, API v3. Amounts are fen on both sides.
"""

from datetime import timedelta
from typing import Any

from domain.payment import Channel, Payment
from domain.refund import Refund
from domain.report import Attention, Outcome, PaymentReport, RefundOutcome, RefundReport
from providers.base import ChannelRules
from providers.kit.beijing import in_beijing
from providers.wechatpay.config import WechatpayConfig
from providers.wechatpay.wire import (
    RefundAnswer,
    Transaction,
)

DESCRIPTION_BYTES = 127
REASON_BYTES = 80
# `time_expire` must lie a minute ahead when it arrives. It only bounds when the payer may pay:
# what ends the order is our own close.
SHORTEST_TIME_EXPIRE = timedelta(minutes=2)

CHANNELS: dict[Channel, ChannelRules] = {
    Channel.APP: ChannelRules(),
    Channel.JSAPI: ChannelRules(needs=("open_id",)),
    Channel.WAP: ChannelRules(needs=("client_ip",)),
    Channel.QR: ChannelRules(),
    Channel.BARCODE: ChannelRules(
        needs=("auth_code",),
        # The payer stands at the till; a password takes them half a minute.
        default_expiry=timedelta(minutes=1),
        longest_expiry=timedelta(minutes=10),
    ),
}
_PATHS = {
    Channel.APP: "app",
    Channel.JSAPI: "jsapi",
    Channel.WAP: "h5",
    Channel.QR: "native",
    Channel.BARCODE: "codepay",
}
CURRENCY = "CNY"

TRADE_STATES = {
    "NOTPAY": Outcome.PENDING,
    "USERPAYING": Outcome.PENDING,
    "ACCEPT": Outcome.PENDING,
    "SUCCESS": Outcome.PAID,
    # Paid, and something of it was given back: the refunds tell how much, `explained` by whom.
    "REFUND": Outcome.PAID,
    "CLOSED": Outcome.CLOSED,
    "REVOKED": Outcome.CLOSED,
    # "Failed, reverse the order": final only once it is reversed.
    "PAYERROR": Outcome.PENDING,
}
NOT_PAID = "NOTPAY"
PAY_ERROR = "PAYERROR"
GIVEN_BACK = "REFUND"
REFUND_STATUSES = {
    "PROCESSING": RefundOutcome.PENDING,
    "SUCCESS": RefundOutcome.SUCCEEDED,
    "CLOSED": RefundOutcome.FAILED,
    "ABNORMAL": RefundOutcome.ABNORMAL,
}


def order_path(channel: Channel) -> str:
    """Where an order of this channel is made."""
    return f"/v3/pay/transactions/{_PATHS[channel]}"


def payment_path(payment: Payment) -> str:
    """The order, by our number; its verbs come after it."""
    return f"/v3/pay/transactions/out-trade-no/{payment.reference}"


def order_body(payment: Payment, config: WechatpayConfig, notify_url: str) -> dict[str, Any]:
    """The order. The same payment gives the same body: WeChat Pay compares repeats with it."""
    body: dict[str, Any] = {
        "appid": config.appid,
        "mchid": config.mchid,
        "description": shorten(payment.subject, DESCRIPTION_BYTES),
        "out_trade_no": payment.reference,
        "amount": {"total": payment.amount, "currency": payment.currency},
    }
    if payment.channel is Channel.BARCODE:
        # Answered at once, and never notified: neither `time_expire` nor `notify_url`.
        body["payer"] = {"auth_code": payment.payer.auth_code}
        body["scene_info"] = {"store_info": {"id": config.store_id}}
        return body
    expiry = max(payment.expires_at, payment.created_at + SHORTEST_TIME_EXPIRE)
    # RFC 3339 in +08:00.
    body["time_expire"] = in_beijing(expiry).isoformat(timespec="seconds")
    body["notify_url"] = notify_url
    if payment.channel is Channel.JSAPI:
        body["payer"] = {"openid": payment.payer.open_id}
    if payment.channel is Channel.WAP:
        body["scene_info"] = {
            "payer_client_ip": payment.payer.client_ip,
            "h5_info": {"type": config.h5_type},
        }
    return body


def refund_body(refund: Refund, payment: Payment, notify_url: str) -> dict[str, Any]:
    """The refund; `total` is what the whole order took."""
    body: dict[str, Any] = {
        "out_trade_no": refund.payment_reference,
        "out_refund_no": refund.reference,
        "notify_url": notify_url,
        "amount": {
            "refund": refund.amount,
            # They differ where a person accepted another sum than was ordered.
            "total": payment.captured or payment.amount,
            "currency": refund.currency,
        },
    }
    if refund.reason:
        body["reason"] = shorten(refund.reason, REASON_BYTES)
    return body


def shorten(text: str, limit: int) -> str:
    """At most `limit` bytes of UTF-8 (WeChat Pay counts bytes), no character cut in two."""
    return text.encode(errors="ignore")[:limit].decode(errors="ignore")


def payment_report(transaction: Transaction, config: WechatpayConfig) -> PaymentReport:
    """What a transaction says. A state that we do not know is pending, its name kept.

    Money that was given back is not here any more: it may not pass for a plain success.
    """
    ours = (transaction.mchid, transaction.appid) == (config.mchid, config.appid)
    gone = Attention.EXTERNAL_REFUND if transaction.trade_state == GIVEN_BACK else None
    return PaymentReport(
        reference=transaction.out_trade_no,
        outcome=TRADE_STATES.get(transaction.trade_state, Outcome.PENDING),
        raw_status=transaction.trade_state,
        provider_reference=transaction.transaction_id,
        amount=transaction.amount.total,
        currency=transaction.amount.currency,
        paid_at=transaction.success_time,
        mismatch=gone if ours else Attention.ACCOUNT_MISMATCH,
        message=transaction.trade_state_desc,
    )


def refund_report(answer: RefundAnswer) -> RefundReport:
    """What the refund API says. Status 200 alone means accepted, not done."""
    return RefundReport(
        reference=answer.out_trade_no,
        refund_reference=answer.out_refund_no,
        outcome=REFUND_STATUSES.get(answer.status, RefundOutcome.PENDING),
        raw_status=answer.status,
        provider_reference=answer.refund_id,
        amount=answer.amount.refund,
        refunded_at=answer.success_time,
    )
