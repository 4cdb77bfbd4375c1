"""Reading what UnionPay posts to us: verified first, then mapped."""

from collections.abc import Mapping
from datetime import datetime

from domain.errors import InvalidSignature, Unreadable
from domain.identity import parse_reference
from domain.notification import Notification, NotificationKind
from domain.report import Attention
from providers.unionpay import mapping, wire
from providers.unionpay.config import PROVIDER, UnionpayConfig
from providers.unionpay.keys import NotGenuine, Signer


def read_notification(
    body: bytes, config: UnionpayConfig, signer: Signer, now: datetime
) -> Notification:
    """The notification in a verified form; raises InvalidSignature."""
    fields = _verified(body, signer, now)
    kind = fields.get("txnType", "")
    code = fields.get("respCode", "")
    # UnionPay numbers no messages; repeats of one say the same of the same transaction.
    number = ".".join((kind, fields.get("orderId", ""), fields.get("queryId", ""), code))
    is_ours = fields.get("merId") == config.mer_id
    names_an_order = bool(kind and fields.get("orderId"))
    is_other = bool(kind) and kind not in (mapping.CONSUME, *mapping.GIVING_BACK)
    if is_other or not (is_ours or names_an_order):
        return Notification(
            provider=PROVIDER,
            account=config.name,
            notification_id=number,
            kind=NotificationKind.OTHER,
            reference="",
            names_another_account=not is_ours,
        )
    if not names_an_order:
        raise Unreadable(f"{PROVIDER}: the message names no order", provider=PROVIDER)
    mismatch = None if is_ours else Attention.ACCOUNT_MISMATCH
    if kind == mapping.CONSUME:
        report = mapping.payment_report(fields, code, is_over=False, mismatch=mismatch)
        return Notification(
            provider=PROVIDER,
            account=config.name,
            notification_id=number,
            kind=NotificationKind.PAYMENT,
            reference=report.reference,
            provider_reference=fields.get("queryId"),
            payment=report,
        )
    reference = _payment_reference(fields)
    refund = mapping.refund_report(fields, reference, code, mismatch)
    return Notification(
        provider=PROVIDER,
        account=config.name,
        notification_id=number,
        kind=NotificationKind.REFUND,
        reference=reference,
        provider_reference=fields.get("origQryId"),
        refund=refund,
    )


def _payment_reference(fields: Mapping[str, str]) -> str:
    """Return our number of the payment that a refund is of, empty where the message has none.

    Our own refunds carry it; one made at UnionPay's console may name the original order (newer
    pages, sheet 1.3), or have only UnionPay's number of the payment.
    """
    named = (fields.get(name, "") for name in ("reqReserved", "origOrderId"))
    return next((number for number in named if parse_reference(number)), "")


def read_return(form: str, config: UnionpayConfig, signer: Signer, now: datetime) -> str | None:
    """The order that the payer's browser comes back from; raises InvalidSignature."""
    fields = _verified(form.encode(), signer, now)
    return fields.get("orderId") if fields.get("merId") == config.mer_id else None


def _verified(body: bytes, signer: Signer, now: datetime) -> Mapping[str, str]:
    try:
        fields = wire.parse_form(body)
        signer.verify(fields, now)
    except (wire.Malformed, NotGenuine) as error:
        raise InvalidSignature(f"{PROVIDER}: {error}", provider=PROVIDER) from error
    return fields
