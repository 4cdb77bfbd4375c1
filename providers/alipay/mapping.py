"""Between our words and Alipay's. Pure; yuan strings exist only here.

May live here: what a channel is called at Alipay, requests from domain objects, reports from
Alipay's fields. Fields come from verified texts only.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from domain.payment import Channel, Payment
from domain.refund import Refund
from domain.report import Attention, Outcome, PaymentReport, RefundOutcome, RefundReport
from providers.base import ChannelRules
from providers.kit.beijing import in_beijing, parse_beijing
from providers.kit.fields import informational

_TIME_FORMAT = "%Y-%m-%d %H:%M:%S"
_YUAN = re.compile(r"[0-9]{1,11}(\.[0-9]{1,6})?")
_LONGEST_SUBJECT = 256
_LONGEST_QUIT_URL = 400
_LONGEST_TRADE = timedelta(days=15)
# Alipay's documents of every order call, at `subject`.
_NOT_IN_SUBJECT = "/=&"

STATUSES: dict[str, Outcome] = {
    "WAIT_BUYER_PAY": Outcome.PENDING,
    "TRADE_SUCCESS": Outcome.PAID,
    "TRADE_FINISHED": Outcome.PAID,
    "TRADE_CLOSED": Outcome.CLOSED,
}
"""A status that is not here is pending with its raw text kept: success only where it is said."""

REFUND_STATUSES: dict[str, RefundOutcome] = {"REFUND_SUCCESS": RefundOutcome.SUCCEEDED}


@dataclass(frozen=True)
class Plan:
    """What a channel is at Alipay."""

    method: str
    product_code: str
    rules: ChannelRules


# A query ten seconds after the refund knows what became of it (sheet 1.9).
_RULES = ChannelRules(subject_excludes=_NOT_IN_SUBJECT, refund_final_within=timedelta(hours=1))
PLANS: dict[Channel, Plan] = {
    Channel.APP: Plan(
        "alipay.trade.app.pay",
        "QUICK_MSECURITY_PAY",
        replace(_RULES, local=True, longest_expiry=_LONGEST_TRADE),
    ),
    Channel.PAGE: Plan(
        "alipay.trade.page.pay",
        "FAST_INSTANT_TRADE_PAY",
        replace(_RULES, local=True, longest_expiry=_LONGEST_TRADE),
    ),
    Channel.WAP: Plan(
        "alipay.trade.wap.pay",
        "QUICK_WAP_WAY",
        replace(
            _RULES,
            local=True,
            longest_expiry=_LONGEST_TRADE,
            longest_return_url=_LONGEST_QUIT_URL,
        ),
    ),
    # The QR text itself lives for about two hours.
    Channel.QR: Plan("alipay.trade.precreate", "FACE_TO_FACE_PAYMENT", _RULES),
    Channel.JSAPI: Plan(
        "alipay.trade.create",
        "JSAPI_PAY",
        replace(_RULES, needs=("open_id|buyer_id",), longest_expiry=_LONGEST_TRADE),
    ),
    # The payer stands at the till: what is not paid within a minute is cancelled.
    Channel.BARCODE: Plan(
        "alipay.trade.pay",
        "FACE_TO_FACE_PAYMENT",
        replace(
            _RULES,
            needs=("auth_code",),
            default_expiry=timedelta(minutes=1),
            shortest_expiry=timedelta(seconds=30),
            longest_expiry=timedelta(minutes=15),
        ),
    ),
}


def yuan(amount: int) -> str:
    """Fen as Alipay writes them: yuan with two places."""
    return f"{Decimal(amount).scaleb(-2):.2f}"


def fen(value: object) -> int | None:
    """Alipay's yuan ("20", "20.0", "20.00") as fen; None for anything that is no whole fen."""
    if not isinstance(value, str | int | Decimal) or isinstance(value, bool):
        return None
    text = str(value)
    if not _YUAN.fullmatch(text):
        return None
    amount = Decimal(text).scaleb(2)
    return int(amount) if amount == int(amount) else None


def moment(value: object) -> datetime | None:
    """Alipay's Beijing time, with or without milliseconds; None for anything else."""
    text = value.partition(".")[0] if isinstance(value, str) else ""
    return parse_beijing(text, _TIME_FORMAT)


def stamp(at: datetime) -> str:
    """A time as Alipay writes it, to the second."""
    return in_beijing(at).strftime(_TIME_FORMAT)


def order(payment: Payment, app_id: str) -> dict[str, Any]:
    """`biz_content` of an order; the same payment always gives the same content."""
    content: dict[str, str | None] = {
        "out_trade_no": payment.reference,
        "total_amount": yuan(payment.amount),
        "subject": payment.subject[:_LONGEST_SUBJECT],
        "product_code": PLANS[payment.channel].product_code,
        "time_expire": stamp(payment.expires_at),
    }
    if payment.channel is Channel.BARCODE:
        content |= {"scene": "bar_code", "auth_code": payment.payer.auth_code}
    elif payment.channel is Channel.WAP:
        content |= {"quit_url": payment.return_url}
    elif payment.channel is Channel.JSAPI:
        open_id = payment.payer.open_id
        content |= {"op_app_id": app_id, "buyer_open_id": open_id}
        content |= {"buyer_id": None if open_id else payment.payer.buyer_id}
    return {key: value for key, value in content.items() if value}


def refund_order(refund: Refund) -> dict[str, Any]:
    """`biz_content` of a refund; our refund's number makes its repeat the same refund."""
    content = {
        "out_trade_no": refund.payment_reference,
        "out_request_no": refund.reference,
        "refund_amount": yuan(refund.amount),
        "refund_reason": (refund.reason or "")[:_LONGEST_SUBJECT],
    }
    return {key: value for key, value in content.items() if value}


def payment_report(
    fields: Mapping[str, Any], reference: str, credit_pay_modes: Collection[str]
) -> PaymentReport:
    """A report from a query's or a notification's fields.

    A trade whose `credit_pay_mode` is none of those that the account takes is for an operator:
    "paid" means there that the buyer has paid nothing yet and is to be charged later.
    A closed trade that was once paid has been refunded in full: `closed` means that nobody ever
    paid (sheet 1.10). Its money is not here any more, so it may not pass for a plain success.
    """
    status = str(fields.get("trade_status") or "")
    outcome = STATUSES.get(status, Outcome.PENDING)
    refunded, mismatch = fen(fields.get("refund_fee")), None
    if outcome is Outcome.CLOSED and _was_paid(fields):
        outcome, mismatch = Outcome.PAID, Attention.EXTERNAL_REFUND
        refunded = refunded or fen(fields.get("total_amount"))
    elif outcome is Outcome.PAID and _credit_mode(fields) not in (None, *credit_pay_modes):
        mismatch = Attention.CREDIT_PAYMENT
    return PaymentReport(
        reference=str(fields.get("out_trade_no") or reference),
        outcome=outcome,
        raw_status=status,
        provider_reference=_number(fields, "trade_no"),
        amount=fen(fields.get("total_amount")),
        currency=text(fields, "trans_currency") or "CNY",
        refunded=refunded,
        paid_at=moment(fields.get("send_pay_date") or fields.get("gmt_payment")),
        mismatch=mismatch,
    )


def _credit_mode(fields: Mapping[str, Any]) -> str | None:
    # Whatever is there and is not empty counts: an unknown kind of credit is no plain payment.
    return str(fields["credit_pay_mode"]) if fields.get("credit_pay_mode") else None


def has_refund(fields: Mapping[str, Any]) -> bool:
    """Whether the fields speak of money given back."""
    return bool(fields.get("gmt_refund")) or bool(fen(fields.get("refund_fee")))


def _was_paid(fields: Mapping[str, Any]) -> bool:
    times = fields.get("send_pay_date") or fields.get("gmt_payment")
    return bool(times) or has_refund(fields) or bool(fen(fields.get("buyer_pay_amount")))


def paid_at_till(
    fields: Mapping[str, Any], reference: str, credit_pay_modes: Collection[str]
) -> PaymentReport:
    """The report of a barcode payment that succeeded at once; trade.pay names no status."""
    paid = {**fields, "trade_status": "TRADE_SUCCESS"}
    return payment_report(paid, reference, credit_pay_modes)


def submitted(fields: Mapping[str, Any], refund: Refund) -> RefundReport:
    """The report of an accepted refund.

    Only `fund_change` Y says that money moved by this call; N is a repeat or nothing yet, which
    only the refund query can tell (sheet 1.9). `refund_fee` is the sum of all refunds, so the
    amount is the one that we asked for, and whatever else it has was refunded without us.
    """
    moved = fields.get("fund_change") == "Y"
    return RefundReport(
        reference=str(fields.get("out_trade_no") or refund.payment_reference),
        refund_reference=refund.reference,
        outcome=RefundOutcome.SUCCEEDED if moved else RefundOutcome.PENDING,
        raw_status=f"fund_change={fields.get('fund_change') or ''}",
        provider_reference=_number(fields, "trade_no"),
        amount=refund.amount if moved else None,
        refunded=fen(fields.get("refund_fee")),
        refunded_at=moment(fields.get("gmt_refund_pay")) if moved else None,
    )


def refund_report(fields: Mapping[str, Any], refund: Refund) -> RefundReport:
    """The report of a refund query; an empty success means that no such refund was done."""
    status = text(fields, "refund_status")
    known = status or fields.get("out_request_no") or fields.get("refund_amount")
    pending = RefundOutcome.PENDING if known else RefundOutcome.NOT_FOUND
    return RefundReport(
        reference=str(fields.get("out_trade_no") or refund.payment_reference),
        refund_reference=str(fields.get("out_request_no") or refund.reference),
        outcome=REFUND_STATUSES.get(status or "", pending),
        raw_status=status or "",
        provider_reference=_number(fields, "trade_no"),
        amount=fen(fields.get("refund_amount")),
        refunded_at=moment(fields.get("gmt_refund_pay")),
    )


def notified_refund(fields: Mapping[str, str], mismatch: Attention | None) -> RefundReport:
    """Return the report of a refund's notification: query now.

    Its `refund_fee` is the sum of all the trade's refunds, never this one's amount, so it cannot
    settle a refund by itself; it is what shows a refund that was made without us.
    """
    return RefundReport(
        reference=fields["out_trade_no"],
        refund_reference=fields["out_biz_no"],
        outcome=RefundOutcome.PENDING,
        raw_status=fields.get("trade_status", ""),
        provider_reference=_number(fields, "trade_no"),
        refunded=fen(fields.get("refund_fee")),
        refunded_at=moment(fields.get("gmt_refund")),
        mismatch=mismatch,
    )


def text(fields: Mapping[str, Any], name: str) -> str | None:
    """A field's text, None where it is empty or missing."""
    value = fields.get(name)
    return value if isinstance(value, str) and value else None


def _number(fields: Mapping[str, Any], name: str) -> str | None:
    """A number of Alipay's, which is text and may come as a number."""
    return informational(fields.get(name)) or None
