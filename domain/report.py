"""What a provider says now of a payment or refund; notification and query both yield a report."""

from datetime import datetime
from enum import StrEnum
from typing import Self

from domain.frozen import Frozen
from domain.purchase import Purchase
from domain.text import Words


class Outcome(StrEnum):
    """What the report means for the payment, whatever the provider calls it."""

    PENDING = "pending"
    PAID = "paid"
    FAILED = "failed"
    CLOSED = "closed"
    # The provider knows no such order (yet). Before expiry this is not a failure: Alipay creates
    # an app or page trade only when the payer opens it.
    NOT_FOUND = "not_found"


class RefundOutcome(StrEnum):
    """What the report means for the refund."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    # Accepted, but an operator must act before it can finish (WeChat Pay's ABNORMAL).
    ABNORMAL = "abnormal"
    NOT_FOUND = "not_found"


class Attention(StrEnum):
    """Why an operator must look."""

    AMOUNT_MISMATCH = "amount_mismatch"
    CURRENCY_MISMATCH = "currency_mismatch"
    ACCOUNT_MISMATCH = "account_mismatch"
    REFERENCE_MISMATCH = "reference_mismatch"
    PRODUCT_MISMATCH = "product_mismatch"
    CONTRADICTION = "contradiction"
    EXTERNAL_REFUND = "external_refund"
    REFUND_ABNORMAL = "refund_abnormal"
    REFUND_FAILED = "refund_failed"
    # The provider rejects the refund for what the account is (its balance, contract, keys): it is
    # sent again until it is taken or an operator ends it.
    REFUND_BLOCKED = "refund_blocked"
    OUTCOME_UNKNOWN = "outcome_unknown"
    # Reported as paid, while the payer has paid nothing yet and is charged later.
    CREDIT_PAYMENT = "credit_payment"


# What was reported is not what was ordered. The right money ends such a mark.
MISMATCHES = frozenset(
    {
        Attention.AMOUNT_MISMATCH,
        Attention.CURRENCY_MISMATCH,
        Attention.ACCOUNT_MISMATCH,
        Attention.REFERENCE_MISMATCH,
        Attention.PRODUCT_MISMATCH,
    }
)


class PaymentReport(Frozen):
    """A provider's report on one payment.

    `amount` is what the payer was charged before coupons, in minor units, and is present where
    `outcome` is paid. `refunded` is the provider's cumulative refunded sum where it says one.
    `mismatch` is set where the provider's own identity fields (app, seller, merchant id) are not
    our account's. A store's report that the payment is paid carries the `purchase`, its
    `product_id` and `quantity`.
    """

    reference: Words
    outcome: Outcome
    raw_status: Words
    provider_reference: Words | None = None
    amount: int | None = None
    currency: Words | None = None
    refunded: int | None = None
    paid_at: datetime | None = None
    product_id: Words | None = None
    quantity: int | None = None
    purchase: Purchase | None = None
    mismatch: Attention | None = None
    code: Words | None = None
    message: Words | None = None

    @classmethod
    def of_purchase(cls, reference: str, purchase: Purchase, raw_status: str) -> Self:
        """That the purchase was made, and so the payment of this reference is paid."""
        return cls(
            reference=reference,
            outcome=Outcome.PAID,
            raw_status=raw_status,
            provider_reference=purchase.transaction_id,
            paid_at=purchase.purchased_at,
            product_id=purchase.product_id,
            quantity=purchase.quantity,
            purchase=purchase,
        )


class RefundReport(Frozen):
    """A provider's report of one refund. `amount` is this refund's, in minor units.

    `refunded` is the provider's cumulative refunded sum of the payment where it says one.
    """

    reference: Words
    refund_reference: Words
    outcome: RefundOutcome
    raw_status: Words
    provider_reference: Words | None = None
    amount: int | None = None
    refunded: int | None = None
    refunded_at: datetime | None = None
    mismatch: Attention | None = None
    code: Words | None = None
    message: Words | None = None
