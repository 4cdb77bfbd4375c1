"""Notification: a provider's message to us, verified. Never built from unverified bytes."""

from enum import StrEnum
from hashlib import sha256

from domain.frozen import Frozen
from domain.report import Attention, PaymentReport, RefundReport
from domain.store_change import StoreChange
from domain.text import Words


class NotificationKind(StrEnum):
    """What the provider talks about; `other` is nothing that we do, and is kept in no row."""

    PAYMENT = "payment"
    REFUND = "refund"
    STORE = "store"
    OTHER = "other"


class Notification(Frozen):
    """A verified notification: the report or the change that `kind` names is set.

    `notification_id` is the provider's own id of the message (the same on its retries);
    `reference` is the payment's order number, and empty where the message names none of ours;
    `provider_reference` is the payment's number at the provider, where the message has it.
    A store's report that a payment is paid is of kind `payment` and has its `change` too.
    `needs_confirmation` is set where the provider's own rule is that a notification proves nothing
    before a query has said the same. `names_another_account` is set where its identity fields do,
    and it has no report that says so.
    """

    provider: str
    account: str
    notification_id: Words
    kind: NotificationKind
    reference: Words
    provider_reference: Words | None = None
    payment: PaymentReport | None = None
    refund: RefundReport | None = None
    change: StoreChange | None = None
    needs_confirmation: bool = False
    names_another_account: bool = False

    @property
    def content_hash(self) -> bytes:
        """SHA-256 of what it says: the same for every delivery that says the same.

        Not of the bytes that came: whoever repeats a genuine message may write it anew.
        """
        return sha256(self.model_dump_json().encode()).digest()

    @property
    def is_foreign(self) -> bool:
        """Whether it is about another app, seller or merchant id than this account's."""
        return self.names_another_account or self.mismatch is Attention.ACCOUNT_MISMATCH

    @property
    def mismatch(self) -> Attention | None:
        """Set where the provider names an app, seller or merchant that is not this account's."""
        report = self.payment or self.refund
        return report.mismatch if report else None


class NotificationOutcome(StrEnum):
    """What a stored notification led to; `received` where that is not known (yet).

    `foreign`: about another merchant's order; `excess`: beyond what one payment may be sent a day.
    """

    RECEIVED = "received"
    SIGNALLED = "signalled"
    DUPLICATE = "duplicate"
    LATE = "late"
    MISMATCH = "mismatch"
    FOREIGN = "foreign"
    EXCESS = "excess"
    UNKNOWN_REFERENCE = "unknown_reference"
    IGNORED = "ignored"


class Acknowledgement(Frozen):
    """The exact bytes that make a provider stop (or go on) retrying."""

    status: int
    content_type: str
    body: bytes
