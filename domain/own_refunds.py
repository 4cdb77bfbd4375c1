"""Which of the money that went back is our own doing, and which was refunded without us. Pure."""

from domain.payment import Channel, Payment, PaymentStatus
from domain.report import Attention, Outcome, PaymentReport

# Without a capture, nobody but our cancel refunds money in store.
_CANCELLABLE = (PaymentStatus.PENDING, PaymentStatus.CLOSED)


def explained(report: PaymentReport, payment: Payment) -> PaymentReport:
    """Return the report, where our own doing explains why a paid order's money went back.

    Captured money was ours to refund: `unaccounted` says of how much that is true. In store only
    our own cancel refunds what was never reported, all of it, and a cancelled payment is closed.
    A sum that is not said (WeChat Pay's `REFUND` says none) is taken for all of it.
    """
    if report.mismatch is not Attention.EXTERNAL_REFUND:
        return report
    if payment.captured:
        return report.model_copy(update={"mismatch": None})
    in_store = payment.channel is Channel.BARCODE and payment.status in _CANCELLABLE
    if in_store and report.refunded in (None, payment.amount):
        return report.model_copy(update={"outcome": Outcome.CLOSED, "mismatch": None})
    return report


def is_cancelled(payment: Payment, report: PaymentReport) -> bool:
    """Whether the report says that our own cancel gave back what the payer had just paid.

    A cancel gives back the whole amount: less was refunded by somebody else.
    """
    return report.outcome is Outcome.CLOSED and report.refunded == payment.amount


def refunded_without_cancel(payment: Payment, report: PaymentReport) -> int:
    """Return the cumulative refunded sum that the report says, 0 for none or our own cancel's."""
    return 0 if is_cancelled(payment, report) else report.refunded or 0


def is_cancelled_in_store(payment: Payment, refunded: int | None) -> bool:
    """Whether a refund of so much of the payment can only be our own cancel's."""
    closed = payment.channel is Channel.BARCODE and payment.status is PaymentStatus.CLOSED
    return closed and not payment.captured and refunded == payment.amount


def unaccounted(payment: Payment, refunded: int | None) -> int:
    """Return how much more the provider has refunded in all than our refunds gave back or hold.

    `refunded` is the provider's cumulative sum in minor units, None where it says none. A refund of
    ours holds its money before it is sent, so that a fresh row never lacks one.
    """
    return max((refunded or 0) - payment.refunded - payment.refund_reserved, 0)
