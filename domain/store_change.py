"""What a store says has changed about a purchase, whatever its own word for it was."""

from datetime import datetime
from enum import StrEnum

from domain.frozen import Frozen
from domain.purchase import Purchase


class Change(StrEnum):
    """What the word means for the buyer; `recorded` means nothing, and is only kept."""

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


class StoreChange(Frozen):
    """A store's word on a change, signed at `signed_at`.

    `raw_type` is the store's own name of it (`DID_RENEW/BILLING_RECOVERY`), `grace_until` the end
    of access while the store tries to charge again, `reason` what the store adds in words.
    """

    purchase: Purchase | None = None
    change: Change
    raw_type: str
    signed_at: datetime
    auto_renews: bool | None = None
    grace_until: datetime | None = None
    reason: str | None = None

    @property
    def standing(self) -> Purchase | None:
        """The purchase as the word leaves it: a refund taken back counts for nothing."""
        if self.purchase is None or self.change is not Change.REFUND_REVERSED:
            return self.purchase
        return self.purchase.model_copy(update={"revoked_at": None, "revoked_share": None})
