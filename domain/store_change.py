"""A change of a purchase that a store reports, whatever the store calls it."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from domain.frozen import Frozen
from domain.purchase import Purchase
from domain.text import Words


class Change(StrEnum):
    """What the report means for the buyer; `recorded` means nothing, and is only kept."""

    PURCHASED = "purchased"
    RENEWED = "renewed"
    GRACE = "grace"
    BILLING_RETRY = "billing_retry"
    EXPIRED = "expired"
    REFUNDED = "refunded"
    REFUND_REVERSED = "refund_reversed"
    REVOKED = "revoked"
    EXTENDED = "extended"
    CONSUMPTION_REQUESTED = "consumption_requested"
    RENEWAL_PREFERENCE = "renewal_preference"
    RECORDED = "recorded"


_TAKES_BACK = (Change.REFUNDED, Change.REVOKED)


class StoreChange(Frozen):
    """A store's report of a change, signed at `signed_at`.

    `raw_type` is the store's own name of it (`DID_RENEW/BILLING_RECOVERY`), `grace_until` the end
    of access while the store tries to charge again, `reason` the store's own text.
    """

    purchase: Purchase | None = None
    change: Change
    raw_type: Words
    signed_at: datetime
    auto_renews: bool | None = None
    grace_until: datetime | None = None
    reason: Words | None = None

    @property
    def standing(self) -> Purchase | None:
        """The purchase after the report, even where its snapshot does not show it."""
        purchase = self.purchase
        if purchase is None:
            return None
        if self.change is Change.REFUND_REVERSED:
            return purchase.model_copy(update={"revoked_at": None, "revoked_share": None})
        if self.change in _TAKES_BACK and purchase.revoked_at is None:
            return purchase.model_copy(update={"revoked_at": self.signed_at})
        return purchase


class StoreWord(Frozen):
    """A store's report of a change; `word_id` is the same on the store's retries.

    `payment_id` is the payment that bought what it is about.
    """

    payment_id: UUID
    word_id: str
    change: StoreChange
