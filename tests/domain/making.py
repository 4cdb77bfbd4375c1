"""Payments, refunds and reports for the domain's tests."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain.identity import IdentityKey
from domain.payment import Channel, Payment
from domain.refund import RECORDED_BY_OPERATOR, ConsoleRefund, Refund, external_refund
from domain.report import Outcome, PaymentReport, RefundOutcome, RefundReport

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
LATER = datetime(2026, 5, 1, 12, 15, tzinfo=UTC)
# Of every test that derives ids without a stack of its own.
IDENTITY = IdentityKey(bytes(range(32)))
PAYMENT_ID = UUID("0f3c5b3e-7a54-4be2-9d41-5d1f3f6b8a01")
REFUND_ID = UUID("7d9a1c52-1f0e-4a39-8a77-2d0f4c6b9e02")


def payment(**changes: Any) -> Payment:
    made = Payment(
        id=PAYMENT_ID,
        merchant_id="m-1",
        order_no="A-1",
        idempotency_key="A-1",
        request_hash="h",
        provider="alipay",
        account="main",
        channel=Channel.QR,
        amount=1999,
        subject="tea",
        created_at=NOW,
        expires_at=LATER,
    )
    return made.model_copy(update=changes)


def report(outcome: Outcome = Outcome.PAID, **changes: Any) -> PaymentReport:
    paid = outcome is Outcome.PAID
    made = PaymentReport(
        reference=PAYMENT_ID.hex,
        outcome=outcome,
        raw_status=f"RAW_{outcome.upper()}",
        provider_reference="2026050122001" if paid else None,
        amount=1999 if paid else None,
        currency="CNY" if paid else None,
        paid_at=LATER if paid else None,
    )
    return made.model_copy(update=changes)


def refund(**changes: Any) -> Refund:
    made = Refund(
        id=REFUND_ID,
        payment_id=PAYMENT_ID,
        merchant_id="m-1",
        idempotency_key="r-1",
        request_hash="h",
        provider="alipay",
        account="main",
        amount=500,
        created_at=NOW,
    )
    return made.model_copy(update=changes)


def refund_report(outcome: RefundOutcome = RefundOutcome.SUCCEEDED, **changes: Any) -> RefundReport:
    made = RefundReport(
        reference=PAYMENT_ID.hex,
        refund_reference=REFUND_ID.hex,
        outcome=outcome,
        raw_status=f"RAW_{outcome.upper()}",
        amount=500,
        refunded_at=LATER if outcome is RefundOutcome.SUCCEEDED else None,
    )
    return made.model_copy(update=changes)


def at_console(of: Payment, amount: int, **changes: Any) -> Refund:
    """A refund of the payment that was made at the provider's console."""
    fields: dict[str, Any] = {
        "number": "console-1",
        "amount": amount,
        "refunded_at": datetime.now(UTC),
        "raw_status": RECORDED_BY_OPERATOR,
        "reason": "Ann: broken on arrival",
    }
    return external_refund(of, ConsoleRefund(**(fields | changes)))
