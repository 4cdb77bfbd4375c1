"""What a buyer may use, and how a store's reports change it. Pure: no I/O, the time is passed in.

Words arrive in any order and more than once. Each carries the purchase as it was when the store
signed it, so the newest report of the newest period counts and older ones change nothing.
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
    """Where the entitlement stands.

    The buyer has access in `active` and `grace`, until the period or the grace has ended. `moved`
    stands only in the event of the payment that lost the entitlement to another one.
    """

    ACTIVE = "active"
    GRACE = "grace"
    BILLING_RETRY = "billing_retry"
    EXPIRED = "expired"
    REFUNDED = "refunded"
    REVOKED = "revoked"
    MOVED = "moved"


# What a report means by itself; where it is not here, the purchase that it carries decides.
_STATUS_OF_CHANGE = {
    Change.RENEWED: EntitlementStatus.ACTIVE,
    Change.EXTENDED: EntitlementStatus.ACTIVE,
    Change.GRACE: EntitlementStatus.GRACE,
    Change.BILLING_RETRY: EntitlementStatus.BILLING_RETRY,
    Change.EXPIRED: EntitlementStatus.EXPIRED,
}
_CHARGING = (EntitlementStatus.GRACE, EntitlementStatus.BILLING_RETRY)
_TAKEN_BACK = (EntitlementStatus.REFUNDED, EntitlementStatus.REVOKED)
# Apple's Billing Grace Period lasts 3, 16 or 28 days; its end may be missing in what we were sent.
LONGEST_GRACE = timedelta(days=28)
_WITH_ACCESS = (EntitlementStatus.ACTIVE, EntitlementStatus.GRACE)


class Entitlement(Frozen):
    """What one chain of purchases entitles its buyer to.

    `original_transaction_id` names the chain, `transaction_id` and `purchased_at` its newest
    period; `signed_at` is when the store signed the last report that was applied. `status` is what
    that report left: `at` says how it stands later. `app` is a `Purchase`'s.
    """

    original_transaction_id: str
    payment_id: UUID
    merchant_id: str
    provider: str
    account: str
    app: str
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
        """The entitlement that a chain's first report opens; the payment paid for it."""
        opened = cls(
            original_transaction_id=purchase.original_transaction_id,
            payment_id=payment.id,
            merchant_id=payment.merchant_id,
            provider=purchase.provider,
            account=purchase.account,
            app=purchase.app,
            product_id=purchase.product_id,
            product_type=purchase.product_type,
            transaction_id=purchase.transaction_id,
            purchased_at=purchase.purchased_at,
            signed_at=change.signed_at,
            test=purchase.test,
        )
        return opened.apply(change)

    @property
    def access_until(self) -> datetime | None:
        """When access ends unless the store extends it; None for never, or where there is none."""
        if self.status not in _WITH_ACCESS:
            return None
        end = self.expires_at
        if self.status is EntitlementStatus.GRACE and end is not None:
            return self.grace_until or end + LONGEST_GRACE
        return end

    def at(self, moment: datetime) -> Self:
        """The entitlement as it stands at `moment`, which is not before its last report.

        A store's EXPIRED may be lost or late: what has ended is `expired` without it.
        """
        until = self.access_until
        if until is None or moment < until:
            return self
        return self.model_copy(update={"status": EntitlementStatus.EXPIRED})

    def has_access_at(self, moment: datetime) -> bool:
        """Whether the buyer may use at `moment` what was bought."""
        return self.at(moment).status in _WITH_ACCESS

    def apply(self, change: StoreChange) -> Self:
        """The entitlement after this report; an older one, or one of an older period, is a no-op.

        A refund of an earlier period leaves the running one: only its money is another matter.
        """
        found = change.standing
        if found is None or change.signed_at < self.signed_at:
            return self
        if found.purchased_at < self.purchased_at:
            return self
        status = self._status_after(change, found)
        return self.model_copy(
            update={
                "transaction_id": found.transaction_id,
                "purchased_at": found.purchased_at,
                "product_id": found.product_id,
                "product_type": found.product_type,
                "expires_at": found.expires_at,
                "status": status,
                "grace_until": self._grace_until(status, change, found),
                "auto_renews": self.auto_renews
                if change.auto_renews is None
                else change.auto_renews,
                "signed_at": change.signed_at,
            }
        )

    def reflects(self, change: StoreChange) -> bool:
        """Whether applying the change would alter nothing that the merchant is shown."""
        return self.apply(change).model_copy(update={"signed_at": self.signed_at}) == self

    def paid_by(self, payment: Payment) -> Self:
        """The entitlement whose newest period another payment bought."""
        return self.model_copy(
            update={"payment_id": payment.id, "merchant_id": payment.merchant_id}
        )

    def _status_after(self, change: StoreChange, found: Purchase) -> EntitlementStatus:
        """What the store took back outranks the report's name."""
        if found.revoked_at is not None:
            shared = found.ownership is Ownership.FAMILY_SHARED
            revoked = shared or change.change is Change.REVOKED
            return EntitlementStatus.REVOKED if revoked else EntitlementStatus.REFUNDED
        status = _STATUS_OF_CHANGE.get(change.change) or self._kept(found)
        if status is EntitlementStatus.ACTIVE and _is_over(found, change.signed_at):
            return self._status_unpaid(found)
        return status

    def _status_unpaid(self, found: Purchase) -> EntitlementStatus:
        """A proof of the ended period does not say that the store has stopped charging for more."""
        same_period = found.transaction_id == self.transaction_id and not found.upgraded
        goes_on = same_period and self.status in _CHARGING
        return self.status if goes_on else EntitlementStatus.EXPIRED

    def _grace_until(
        self, status: EntitlementStatus, change: StoreChange, found: Purchase
    ) -> datetime | None:
        """A report without renewal information does not say that the grace has no end."""
        goes_on = status is self.status is EntitlementStatus.GRACE
        if change.grace_until is None and goes_on and found.transaction_id == self.transaction_id:
            return self.grace_until
        return change.grace_until

    def _kept(self, found: Purchase) -> EntitlementStatus:
        """A new period begins as active, and so does what was taken back and is no longer."""
        same_period = found.transaction_id == self.transaction_id
        kept = same_period and self.status not in _TAKEN_BACK
        return self.status if kept else EntitlementStatus.ACTIVE


def _is_over(purchase: Purchase, at: datetime) -> bool:
    return purchase.upgraded or (purchase.expires_at is not None and purchase.expires_at <= at)
