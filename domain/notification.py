"""Notification: a provider's message to us, verified. Never built from unverified bytes."""

from enum import StrEnum

from domain.frozen import Frozen
from domain.report import Attention, PaymentReport, RefundReport
from domain.text import Words


class NotificationKind(StrEnum):
    """What the provider talks about."""

    PAYMENT = "payment"
    REFUND = "refund"


class Notification(Frozen):
    """A verified notification: exactly one of the two reports is set, as `kind` says.

    `notification_id` is the provider's own id of the message (the same on its retries);
    `reference` is the payment's order number.
    """

    provider: str
    account: str
    notification_id: Words
    kind: NotificationKind
    reference: Words
    payment: PaymentReport | None = None
    refund: RefundReport | None = None

    @property
    def mismatch(self) -> Attention | None:
        """Set where the provider names an app, seller or merchant that is not this account's."""
        report = self.payment or self.refund
        return report.mismatch if report else None


class NotificationOutcome(StrEnum):
    """What a stored notification led to."""

    RECEIVED = "received"
    SIGNALLED = "signalled"
    DUPLICATE = "duplicate"
    LATE = "late"
    MISMATCH = "mismatch"
    UNKNOWN_REFERENCE = "unknown_reference"
    IGNORED = "ignored"


class Acknowledgement(Frozen):
    """The exact bytes that make a provider stop (or go on) retrying."""

    status: int
    content_type: str
    body: bytes
