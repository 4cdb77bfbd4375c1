"""Reports that rest on a code or a status alone, where the answer has no fields of a payment."""

from domain.payment import Payment
from domain.refund import Refund
from domain.report import Outcome, PaymentReport, RefundOutcome, RefundReport


def bare_report(
    payment: Payment, outcome: Outcome, raw_status: str, message: str | None = None
) -> PaymentReport:
    """Return a report of the payment without amount or provider reference."""
    return PaymentReport(
        reference=payment.reference,
        outcome=outcome,
        raw_status=raw_status,
        message=message or None,
    )


def bare_refund_report(
    refund: Refund, outcome: RefundOutcome, raw_status: str, message: str | None = None
) -> RefundReport:
    """Return a report of the refund without amount or provider reference."""
    return RefundReport(
        reference=refund.payment_reference,
        refund_reference=refund.reference,
        outcome=outcome,
        raw_status=raw_status,
        message=message or None,
    )
