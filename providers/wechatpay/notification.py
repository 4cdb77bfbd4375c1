"""A verified notification: what it is about, decrypted and mapped. Pure."""

from domain.notification import Notification, NotificationKind
from domain.report import Attention, Outcome, RefundOutcome, RefundReport
from providers.wechatpay import mapping
from providers.wechatpay.config import PROVIDER, WechatpayConfig
from providers.wechatpay.encryption import decrypt
from providers.wechatpay.wire import (
    Envelope,
    Event,
    Labelled,
    Malformed,
    RefundNotice,
    Transaction,
    read,
)

# What an event's type begins with and what its content is called; others are of other products.
_REFUND = "refund"
_SUBJECTS = ("transaction", _REFUND)


def read_notification(body: bytes, config: WechatpayConfig) -> Notification:
    """Return the notification in a verified body; raises Malformed."""
    event = read(Event, body)
    subject, named, _ = event.event_type.lower().partition(".")
    if not named:
        raise Malformed(f"{event.event_type!r} is no type of event")
    if subject not in _SUBJECTS or not _is_of(subject, body):
        return Notification(
            provider=PROVIDER,
            account=config.name,
            notification_id=event.id,
            kind=NotificationKind.OTHER,
            reference="",
        )
    envelope = read(Envelope, body)
    plaintext = decrypt(config.api_v3_key.get_secret_value().encode(), envelope.resource)
    if subject == _REFUND:
        return _of_refund(envelope.id, read(RefundNotice, plaintext), config)
    report = mapping.payment_report(read(Transaction, plaintext), config)
    if report.mismatch is Attention.EXTERNAL_REFUND:
        # Whose doing it was depends on the payment, which a query is held against.
        report = report.model_copy(update={"outcome": Outcome.PENDING, "mismatch": None})
    return Notification(
        provider=PROVIDER,
        account=config.name,
        notification_id=envelope.id,
        kind=NotificationKind.PAYMENT,
        reference=report.reference,
        provider_reference=report.provider_reference,
        payment=report,
    )


def _is_of(subject: str, body: bytes) -> bool:
    """Whether an event's content is of this kind: other products use the same event types."""
    named = read(Labelled, body).resource.original_type or subject
    return named.lower() == subject


def _of_refund(id_: str, notice: RefundNotice, config: WechatpayConfig) -> Notification:
    report = RefundReport(
        reference=notice.out_trade_no,
        refund_reference=notice.out_refund_no,
        outcome=mapping.REFUND_STATUSES.get(notice.refund_status, RefundOutcome.PENDING),
        raw_status=notice.refund_status,
        provider_reference=notice.refund_id,
        amount=notice.amount.refund,
        refunded_at=notice.success_time,
        mismatch=None if notice.mchid == config.mchid else Attention.ACCOUNT_MISMATCH,
    )
    return Notification(
        provider=PROVIDER,
        account=config.name,
        notification_id=id_,
        kind=NotificationKind.REFUND,
        reference=report.reference,
        provider_reference=notice.transaction_id,
        refund=report,
    )
