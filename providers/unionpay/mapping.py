"""Between our payments and UnionPay's fields. Pure: words and their meaning, nothing is sent."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from domain.payment import Channel, Payment
from domain.refund import Refund
from domain.report import Attention, Outcome, PaymentReport, RefundOutcome, RefundReport
from providers.base import Asking, ChannelRules
from providers.unionpay import codes
from providers.unionpay.codes import State
from providers.unionpay.config import UnionpayConfig
from providers.unionpay.wire import moment, settlement_day, stamp, without_year

CURRENCY = "CNY"
_CURRENCY_NUMBER = "156"
CONSUME, REFUND, UNDO = "01", "04", "31"
GIVING_BACK = (REFUND, UNDO)
_GATEWAY_PRODUCT, _QR_PRODUCT = "000201", "000000"
_DESKTOP, _PHONE = "07", "08"
# Undone before the day's last minutes, or the day may be over when the undo arrives.
_BEFORE_CUT_OVER = timedelta(minutes=5)
# These end a value or open a bracket for UnionPay's own parser.
_SYNTAX = re.compile(r"[&={}\[\]\s]+")
_LONGEST_SUBJECT = 60
# `txnAmt` has twelve digits at most.
_LONGEST_NUMBER = 18


@dataclass(frozen=True)
class Plan:
    """How a channel is ordered: which endpoint, which kind of consumption."""

    endpoint: str
    sub_type: str
    product: str
    device: str
    rules: ChannelRules


# Official advice: first types (the payer acts in UnionPay's own pages) at 5, 10, 30, 60 and 120
# minutes, the App sample after three; back office types after 1, 2, 4, 8, 16 and 32 seconds.
_FRONT_ASKING = Asking(silence=300, first_wait=300, backoff=2, longest_wait=3600)
_APP_ASKING = Asking(silence=180, first_wait=120, backoff=2, longest_wait=3600)
_BACK_ASKING = Asking(silence=1, first_wait=1, backoff=2, longest_wait=32)
# The sheet's cadence ends within minutes and leaves the rest to the next day's bill (section 1.9).
_RULES = ChannelRules(
    closable=False, longest_expiry=timedelta(hours=2), refund_final_within=timedelta(days=2)
)

PLANS: dict[Channel, Plan] = {
    Channel.APP: Plan(
        "appTransReq.do", "01", _GATEWAY_PRODUCT, _PHONE,
        replace(_RULES, asking=_APP_ASKING),
    ),
    Channel.PAGE: Plan(
        "frontTransReq.do", "01", _GATEWAY_PRODUCT, _DESKTOP,
        replace(_RULES, local=True, asking=_FRONT_ASKING),
    ),
    Channel.WAP: Plan(
        "frontTransReq.do", "01", _GATEWAY_PRODUCT, _PHONE,
        replace(_RULES, local=True, asking=_FRONT_ASKING),
    ),
    Channel.QR: Plan(
        "backTransReq.do", "07", _QR_PRODUCT, _PHONE,
        _RULES,
    ),
    Channel.BARCODE: Plan(
        "backTransReq.do", "06", _QR_PRODUCT, _PHONE,
        replace(
            _RULES,
            needs=("auth_code",),
            default_expiry=timedelta(minutes=2),
            longest_expiry=timedelta(minutes=15),
            asking=_BACK_ASKING,
        ),
    ),
}  # fmt: skip


def order(payment: Payment, config: UnionpayConfig, notify_url: str) -> dict[str, str]:
    """The order's fields; the same payment always gives the same ones."""
    plan = PLANS[payment.channel]
    fields = _common(config, plan.product) | {
        "txnType": CONSUME,
        "txnSubType": plan.sub_type,
        "channelType": plan.device,
        "orderId": payment.reference,
        "txnTime": stamp(payment.created_at),
        "txnAmt": str(payment.amount),
        "currencyCode": _CURRENCY_NUMBER,
        "backUrl": notify_url,
        "payTimeout": stamp(payment.expires_at),
    }
    if payment.channel is Channel.BARCODE:
        return fields | {"qrNo": payment.payer.auth_code or "", "termId": config.terminal_id}
    subject = _SYNTAX.sub(" ", payment.subject).strip()[:_LONGEST_SUBJECT]
    if subject and plan.product == _GATEWAY_PRODUCT:
        fields["riskRateInfo"] = f"{{commodityName={subject}}}"
    return fields


def question(about: Payment | Refund, payment: Payment, config: UnionpayConfig) -> dict[str, str]:
    """The query of a payment or refund, by its own triple."""
    return _common(config, PLANS[payment.channel].product) | {
        "txnType": "00",
        "txnSubType": "00",
        "orderId": about.reference,
        "txnTime": stamp(about.created_at),
    }


def giving_back(
    kind: str, refund: Refund, payment: Payment, config: UnionpayConfig, notify_url: str
) -> dict[str, str]:
    """A refund's (04) or an undo's (31) fields, all but `origQryId`.

    The payment's number travels in `reqReserved`: the notification names only the refund's own.
    """
    plan = PLANS[payment.channel]
    return _common(config, plan.product) | {
        "txnType": kind,
        "txnSubType": "00",
        "channelType": plan.device,
        "orderId": refund.reference,
        "txnTime": stamp(refund.created_at),
        "txnAmt": str(refund.amount),
        "currencyCode": _CURRENCY_NUMBER,
        "backUrl": notify_url,
        "reqReserved": refund.payment_reference,
    }


def can_be_undone(refund: Refund, payment: Payment, paid_at: datetime, now: datetime) -> bool:
    """Whether the refund gives a whole payment back on its settlement day, and nothing before."""
    # They differ where a person accepted another sum than was ordered.
    paid = payment.captured or payment.amount
    whole = refund.amount == paid and not payment.refunded
    return whole and settlement_day(paid_at) == settlement_day(now + _BEFORE_CUT_OVER)


def payment_report(
    fields: Mapping[str, str], code: str, *, is_over: bool, mismatch: Attention | None = None
) -> PaymentReport:
    """What the state `code` says of a payment; `is_over` where its payer's time has run out.

    A payer who was debited without UnionPay saying that the money is ours is for an operator.
    """
    state = codes.state_of(code)
    outcome = _outcome(state, fields.get("txnSubType", ""), is_over=is_over)
    if state is State.DEBITED:
        mismatch = mismatch or Attention.OUTCOME_UNKNOWN
    is_paid = outcome is Outcome.PAID
    return PaymentReport(
        reference=fields["orderId"],
        outcome=outcome,
        raw_status=code,
        provider_reference=fields.get("queryId") if is_paid else None,
        amount=_number(fields.get("txnAmt")) if is_paid else None,
        currency=_currency(fields.get("currencyCode")) if is_paid else None,
        paid_at=_done_at(fields) if is_paid else None,
        mismatch=mismatch,
        code=code,
        message=fields.get("origRespMsg") or fields.get("respMsg"),
    )


def refund_report(
    fields: Mapping[str, str], payment_reference: str, code: str, mismatch: Attention | None = None
) -> RefundReport:
    """What the state `code` says of a refund or an undo."""
    state = codes.state_of(code)
    outcome = _REFUND_OUTCOMES[state]
    is_done = state is State.DONE
    return RefundReport(
        reference=payment_reference,
        refund_reference=fields["orderId"],
        outcome=outcome,
        raw_status=code,
        provider_reference=fields.get("queryId") if is_done else None,
        amount=_number(fields.get("txnAmt")) if is_done else None,
        refunded_at=_done_at(fields) if is_done else None,
        mismatch=mismatch,
        code=code,
        message=fields.get("origRespMsg") or fields.get("respMsg"),
    )


_REFUND_OUTCOMES = {
    State.DONE: RefundOutcome.SUCCEEDED,
    State.PENDING: RefundOutcome.PENDING,
    State.FAILED: RefundOutcome.FAILED,
    State.UNSETTLED: RefundOutcome.FAILED,
    State.DEBITED: RefundOutcome.PENDING,
    State.GIVEN_BACK: RefundOutcome.FAILED,
}
_OUTCOMES = {
    State.DONE: Outcome.PAID,
    State.DEBITED: Outcome.PAID,
    State.PENDING: Outcome.PENDING,
    State.GIVEN_BACK: Outcome.CLOSED,
}


def _outcome(state: State, sub_type: str, *, is_over: bool) -> Outcome:
    if state in _OUTCOMES:
        return _OUTCOMES[state]
    if state is State.FAILED and sub_type == PLANS[Channel.BARCODE].sub_type:
        return Outcome.FAILED
    # The payer may try another card until payTimeout; after it the last word is final.
    return Outcome.CLOSED if is_over else Outcome.PENDING


def _common(config: UnionpayConfig, product: str) -> dict[str, str]:
    return {
        "version": "5.1.0",
        "encoding": "UTF-8",
        "bizType": product,
        "accessType": "0",
        "merId": config.mer_id,
    }


def _done_at(fields: Mapping[str, str]) -> datetime | None:
    # traceTime has no year; txnTime, the order's own, is at most hours before it.
    ordered = moment(fields.get("txnTime", ""))
    if ordered is None:
        return None
    return without_year(fields.get("traceTime", ""), ordered) or ordered


def _number(text: str | None) -> int | None:
    # None fits no order; Python would not even read thousands of digits.
    if not text or len(text) > _LONGEST_NUMBER:
        return None
    return int(text) if text.isascii() and text.isdigit() else None


def _currency(number: str | None) -> str | None:
    return CURRENCY if number in (None, _CURRENCY_NUMBER) else number
