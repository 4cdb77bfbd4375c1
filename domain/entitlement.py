"""What a buyer may use, and how a store's words change it. Pure: no I/O, no clock.

Words arrive in any order and more than once. Each carries the purchase as it was when the store
signed it, so the newest word of the newest period is the truth and older ones change nothing.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self
from uuid import UUID

from domain.frozen import Frozen
from domain.payment import Payment
from domain.product import ProductType
from domain.purchase import Ownership, Purchase
from domain.store_change import Change, StoreChange


class EntitlementStatus(StrEnum):
    """Where the entitlement stands; the buyer has access in `active` and `grace`."""

    ACTIVE = "active"
    GRACE = "grace"
    BILLING_RETRY = "billing_retry"
    EXPIRED = "expired"
    REFUNDED = "refunded"
    REVOKED = "revoked"


# What a word means by itself; where it is not here, the purchase that it carries speaks alone.
_STATUS_OF_CHANGE = {
    Change.RENEWED: EntitlementStatus.ACTIVE,
    Change.EXTENDED: EntitlementStatus.ACTIVE,
    Change.GRACE: EntitlementStatus.GRACE,
    Change.BILLING_RETRY: EntitlementStatus.BILLING_RETRY,
    Change.EXPIRED: EntitlementStatus.EXPIRED,
}
_TAKEN_BACK = (EntitlementStatus.REFUNDED, EntitlementStatus.REVOKED)
# Apple's Billing Grace Period lasts 3, 16 or 28 days; its end may be missing in what we were sent.
LONGEST_GRACE = timedelta(days=28)
_WITH_ACCESS = (EntitlementStatus.ACTIVE, EntitlementStatus.GRACE)


class Entitlement(Frozen):
    """What one chain of purchases entitles its buyer to.

    `original_transaction_id` names the chain, `transaction_id` and `purchased_at` its newest
    period; `signed_at` is when the store signed the last word that was applied.
    """

    original_transaction_id: str
    payment_id: UUID
    merchant_id: str
    provider: str
    account: str
    product_id: str
    product_type: ProductType
    transaction_id: str
    purchased_at: datetime
    status: EntitlementStatus = EntitlementStatus.ACTIVE
    expires_at: datetime | None = None
    grace_until: datetime | None = None
    auto_renews: bool | None = None
    signed_at: datetime
    test: bool = False

    @classmethod
    def opened(cls, payment: Payment, change: StoreChange, purchase: Purchase) -> Self:
        """The entitlement that the first word heard of a chain opens; the payment paid for it."""
        opened = cls(
            original_transaction_id=purchase.original_transaction_id,
            payment_id=payment.id,
            merchant_id=payment.merchant_id,
            provider=purchase.provider,
            account=purchase.account,
            product_id=purchase.product_id,
            product_type=purchase.product_type,
            transaction_id=purchase.transaction_id,
            purchased_at=purchase.purchased_at,
            signed_at=change.signed_at,
            test=purchase.test,
        )
        return opened.apply(change)

    def has_access_at(self, moment: datetime) -> bool:
        """Whether the buyer may use what was bought.

        The clock decides too: the notification that says that a period ended may be lost.
        """
        if self.status not in _WITH_ACCESS:
            return False
        end = self.expires_at
        if self.status is EntitlementStatus.GRACE and end is not None:
            end = self.grace_until or end + LONGEST_GRACE
        return end is None or moment < end

    def apply(self, change: StoreChange) -> Self:
        """The entitlement after this word; an older word, or one of an older period, is a no-op.

        A refund of an earlier period leaves the running one: only its money is another matter.
        """
        found = change.standing
        if found is None or change.signed_at < self.signed_at:
            return self
        if found.purchased_at < self.purchased_at:
            return self
        return self.model_copy(
            update={
                "transaction_id": found.transaction_id,
                "purchased_at": found.purchased_at,
                "product_id": found.product_id,
                "product_type": found.product_type,
                "expires_at": found.expires_at,
                "status": self._status_after(change, found),
                "grace_until": change.grace_until,
                "auto_renews": self.auto_renews
                if change.auto_renews is None
                else change.auto_renews,
                "signed_at": change.signed_at,
            }
        )

    def paid_by(self, payment: Payment) -> Self:
        """The entitlement whose newest period another payment bought."""
        return self.model_copy(
            update={"payment_id": payment.id, "merchant_id": payment.merchant_id}
        )

    def _status_after(self, change: StoreChange, found: Purchase) -> EntitlementStatus:
        """What the store took back outranks the name of the word."""
        if found.revoked_at is not None:
            shared = found.ownership is Ownership.FAMILY_SHARED
            revoked = shared or change.change is Change.REVOKED
            return EntitlementStatus.REVOKED if revoked else EntitlementStatus.REFUNDED
        status = _STATUS_OF_CHANGE.get(change.change) or self._kept(found)
        if status is EntitlementStatus.ACTIVE and _is_over(found, change.signed_at):
            return EntitlementStatus.EXPIRED
        return status

    def _kept(self, found: Purchase) -> EntitlementStatus:
        """A new period begins as active, and so does what was taken back and is no longer."""
        same_period = found.transaction_id == self.transaction_id
        kept = same_period and self.status not in _TAKEN_BACK
        return self.status if kept else EntitlementStatus.ACTIVE


def _is_over(purchase: Purchase, at: datetime) -> bool:
    return purchase.upgraded or (purchase.expires_at is not None and purchase.expires_at <= at)
