"""What an operator has decided on is not for an operator again. Pure."""

from domain.payment import CLOSED_BY_OPERATOR, Payment
from domain.report import Attention, PaymentReport


def is_decided(payment: Payment, report: PaymentReport, why: Attention) -> bool:
    """Return whether a report that does not fit (`why`) is of a trade that was decided on.

    Accepted or refunded, another sum than was ordered is captured under the trade's number; closed,
    the payment has the number of the trade that it was closed over.
    """
    if report.provider_reference is None or why is Attention.REFERENCE_MISMATCH:
        return False
    if payment.provider_reference != report.provider_reference:
        return False
    if payment.raw_status == CLOSED_BY_OPERATOR:
        return True
    accepted = payment.captured == report.amount != 0
    return why is Attention.AMOUNT_MISMATCH and accepted
