"""What a refund is and how it may change. Its money is held by the payment it belongs to."""

from datetime import datetime
from enum import StrEnum
from typing import Self
from uuid import UUID

from domain.frozen import Frozen
from domain.identity import automatic_refund_id
from domain.money import Amount, Currency
from domain.payment import Failure, Payment
from domain.report import Attention, RefundOutcome, RefundReport


class RefundStatus(StrEnum):
    """Where the refund stands; all but `pending` are final.

    A refund that a store made by itself may be `reversed` by it.
    """

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REVERSED = "reversed"


class RefundCause(StrEnum):
    """Who wanted the money given back."""

    REQUESTED = "requested"
    LATE_PAYMENT = "late_payment"
    DUPLICATE_PAYMENT = "duplicate_payment"
    MERCHANT_VETO = "merchant_veto"
    OPERATOR = "operator"
    PROVIDER = "provider"


REFUND_TRANSITIONS: dict[RefundStatus, frozenset[RefundStatus]] = {
    RefundStatus.PENDING: frozenset({RefundStatus.SUCCEEDED, RefundStatus.FAILED}),
    RefundStatus.SUCCEEDED: frozenset(),
    RefundStatus.FAILED: frozenset(),
    RefundStatus.REVERSED: frozenset(),
}
# Only by the report of a store that made the refund itself, never by a report on one of ours.
REVERSALS: dict[RefundStatus, RefundStatus] = {RefundStatus.SUCCEEDED: RefundStatus.REVERSED}
# The `raw_status` of a refund at the provider's console that an operator has recorded here.
RECORDED_BY_OPERATOR = "recorded by an operator"
# What a final outcome makes of the refund.
FINAL_STATUS = {
    RefundOutcome.SUCCEEDED: RefundStatus.SUCCEEDED,
    RefundOutcome.FAILED: RefundStatus.FAILED,
}


class Refund(Frozen):
    """One refund of one payment; `amount` is in minor units and never more than was captured."""

    id: UUID
    payment_id: UUID
    merchant_id: str
    idempotency_key: str
    request_hash: str
    provider: str
    account: str
    amount: Amount
    currency: Currency = "CNY"
    reason: str | None = None
    cause: RefundCause = RefundCause.REQUESTED
    created_at: datetime

    status: RefundStatus = RefundStatus.PENDING
    provider_reference: str | None = None
    raw_status: str | None = None
    refunded_at: datetime | None = None
    attention: Attention | None = None
    failure: Failure | None = None

    @property
    def reference(self) -> str:
        """Our refund number at the provider: the id as 32 hex characters."""
        return self.id.hex

    @property
    def payment_reference(self) -> str:
        """The payment's order number at the provider."""
        return self.payment_id.hex

    def mismatch(self, report: RefundReport) -> Attention | None:
        """Why the report cannot be about this refund, or None where it fits."""
        if report.refund_reference != self.reference or report.reference != self.payment_reference:
            return Attention.REFERENCE_MISMATCH
        if report.mismatch is not None:
            return report.mismatch
        if report.outcome is RefundOutcome.SUCCEEDED and report.amount != self.amount:
            return Attention.AMOUNT_MISMATCH
        return None

    def apply(self, report: RefundReport) -> Self:
        """The refund after this report; the caller checks `mismatch` first."""
        status = FINAL_STATUS.get(report.outcome)
        if status is None:
            abnormal = report.outcome is RefundOutcome.ABNORMAL
            if not abnormal or self.status is not RefundStatus.PENDING:
                return self
            return self.model_copy(
                update={"attention": Attention.REFUND_ABNORMAL, "raw_status": report.raw_status}
            )
        if status not in REFUND_TRANSITIONS[self.status]:
            return self
        return self.model_copy(
            update={
                "status": status,
                "raw_status": report.raw_status,
                "attention": None,
                "provider_reference": report.provider_reference or self.provider_reference,
                "refunded_at": report.refunded_at,
                "failure": _failure(report) if status is RefundStatus.FAILED else None,
            }
        )

    def reverse(self, raw_status: str) -> Self:
        """The refund taken back by the store that made it; any other stays as it is."""
        status = REVERSALS.get(self.status)
        if status is None or self.cause is not RefundCause.PROVIDER:
            return self
        return self.model_copy(update={"status": status, "raw_status": raw_status})


class ConsoleRefund(Frozen):
    """A refund that was made at the provider's own console.

    `number` is its number at the provider, which names no refund of ours; the same number is the
    same refund. `amount` is in minor units.
    """

    number: str
    amount: Amount
    refunded_at: datetime
    raw_status: str
    reason: str | None = None


def external_refund(payment: Payment, made: ConsoleRefund) -> Refund:
    """Return the refund of this payment as it is recorded here."""
    key = f"automatic:external:{made.number}"
    return Refund(
        id=automatic_refund_id(payment.id, key),
        payment_id=payment.id,
        merchant_id=payment.merchant_id,
        idempotency_key=key,
        request_hash=f"{key}:{made.amount}",
        provider=payment.provider,
        account=payment.account,
        amount=made.amount,
        currency=payment.currency,
        reason=made.reason,
        cause=RefundCause.PROVIDER,
        created_at=made.refunded_at,
        status=RefundStatus.SUCCEEDED,
        provider_reference=made.number,
        raw_status=made.raw_status,
        refunded_at=made.refunded_at,
    )


def _failure(report: RefundReport) -> Failure:
    return Failure(
        code="provider_rejected",
        message=report.message or f"The provider reports {report.raw_status}.",
        provider_code=report.code or report.raw_status,
        provider_message=report.message,
    )
