"""The empty checkout: the payer has nothing left to do."""

from domain.checkout import Checkout, CheckoutKind, Created
from domain.report import PaymentReport

NOTHING_NEEDED = Checkout(kind=CheckoutKind.NONE)


def without_checkout(report: PaymentReport) -> Created:
    """Return the answer to `create` of an order whose state the report gives already."""
    return Created(
        checkout=NOTHING_NEEDED, report=report, provider_reference=report.provider_reference
    )
