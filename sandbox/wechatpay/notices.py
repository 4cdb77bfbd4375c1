# What a notification says. It is frozen when the event happens; signing and sealing it, afresh
# for every attempt, is `Postman`'s.
import json
import uuid
from collections.abc import Mapping
from typing import Any

from sandbox.books import Order, Refund
from sandbox.clock import Clock
from sandbox.faults import Fault
from sandbox.side import Message, Notice
from sandbox.wechatpay import views
from sandbox.wechatpay.answers import encode, signature_headers
from sandbox.wechatpay.call import PROVIDER
from sandbox.wechatpay.encryption import seal
from sandbox.wechatpay.keys import Merchant

LADDER = tuple(
    float(seconds)
    for seconds in (
        *(15, 15, 30, 180, 600, 1200, 1800, 1800, 1800),
        *(3600, 10800, 10800, 10800, 21600, 21600),
    )
)
REFUND_SUMMARIES = {"SUCCESS": "退款成功", "CLOSED": "退款关闭", "ABNORMAL": "退款异常"}
FOREIGN_MCHID = "1900009999"
FOREIGN_APPID = "wxdeadbeefdeadbeef"
SIGNATURE_FLAWS = ("bad_signature", "foreign_key", "stale", "signtest", "unknown_serial")
NOTIFY_FAULTS = (
    *SIGNATURE_FLAWS,
    "unsigned",
    "tamper_body",
    "wrong_amount",
    "foreign_app",
    "escaped_slashes",
)


def payment_notice(order: Order) -> Notice | None:
    """WeChat Pay only speaks of paid orders, and only where it was told a URL."""
    if order.paid_at is None or not order.notify_url or order.status not in views.PAID_STATES:
        return None
    paid = order.document() | {"status": "SUCCESS"}
    return Notice(
        notice_id=str(uuid.uuid4()),
        provider=PROVIDER,
        merchant=order.merchant,
        reference=order.reference,
        kind="payment",
        url=order.notify_url,
        content={
            "create_time": views.moment(order.paid_at),
            "event_type": "TRANSACTION.SUCCESS",
            "summary": "支付成功",
            "original_type": "transaction",
            "plaintext": views.transaction(Order.from_document(paid)),
        },
    )


def refund_notice(refund: Refund, order: Order) -> Notice | None:
    """A refund's outcome, to its own URL or else to the payment's."""
    if refund.status not in REFUND_SUMMARIES or not refund.notify_url or refund.done_at is None:
        return None
    return Notice(
        notice_id=str(uuid.uuid4()),
        provider=PROVIDER,
        merchant=order.merchant,
        reference=order.reference,
        kind="refund",
        url=refund.notify_url,
        content={
            "create_time": views.moment(refund.done_at),
            "event_type": f"REFUND.{refund.status}",
            "summary": REFUND_SUMMARIES[refund.status],
            "original_type": "refund",
            "plaintext": views.refund_notification(refund, order),
        },
    )


class Postman:
    """Seals and signs notifications for their merchants, or misdoes it as a fault says."""

    def __init__(self, merchants: Mapping[str, Merchant], clock: Clock) -> None:
        self._merchants = merchants
        self._clock = clock

    def build(self, notice: Notice, fault: Fault | None) -> Message:
        """One attempt, ready to be posted."""
        merchant, flaw = self._merchants[notice.merchant], fault.kind if fault else None
        plaintext = _spoiled(notice.content["plaintext"], fault)
        body = self._body(notice, merchant, plaintext, flaw)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Mozilla/4.0",
            "Request-ID": notice.notice_id.replace("-", "").upper(),
        }
        if flaw != "unsigned":
            headers |= signature_headers(
                merchant.notification_key(),
                body,
                self._clock.now(),
                flaw=flaw if flaw in SIGNATURE_FLAWS else None,
            )
        if flaw == "tamper_body":
            body = body.replace(b'"summary":"', b'"summary":"!', 1)
        return Message(headers=headers, body=body)

    def _body(
        self, notice: Notice, merchant: Merchant, plaintext: dict[str, Any], flaw: str | None
    ) -> bytes:
        kind = notice.content["original_type"]
        resource = seal(merchant.api_v3_key, encode(plaintext), kind)
        content = encode(
            {
                "id": notice.notice_id,
                "create_time": notice.content["create_time"],
                "resource_type": "encrypt-resource",
                "event_type": notice.content["event_type"],
                "summary": notice.content["summary"],
                "resource": {"original_type": kind} | resource,
            }
        )
        # Legal JSON that no re-serialisation reproduces: only the raw bytes verify.
        return content.replace(b"/", b"\\/") if flaw == "escaped_slashes" else content


def _spoiled(plaintext: dict[str, Any], fault: Fault | None) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(json.dumps(plaintext))
    if fault and fault.kind == "wrong_amount":
        amount = int(fault.params.get("amount", content["amount"]["total"] + 1))
        names = ("refund", "payer_refund") if "refund" in content["amount"] else ("total",)
        content["amount"] |= dict.fromkeys((*names, "payer_total"), amount)
    if fault and fault.kind == "foreign_app":
        content["mchid"] = fault.params.get("mchid", FOREIGN_MCHID)
        if "appid" in content:
            content["appid"] = fault.params.get("appid", FOREIGN_APPID)
    return content
