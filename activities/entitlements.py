"""A store's words, applied in our own books. Each may be applied twice and counts once."""

from uuid import UUID

from temporalio import activity

from activities.errors import still_pending, translated
from domain.errors import Conflict
from domain.frozen import Frozen
from domain.store_change import StoreWord
from storage.entitlements import EntitlementStore


class Changed(Frozen):
    """The events that tell the merchant what the word changed, in order; none for no change."""

    event_ids: list[UUID]


class EntitlementActivities:
    """Writes grants, entitlements and the refunds that a store makes."""

    def __init__(self, entitlements: EntitlementStore) -> None:
        self._entitlements = entitlements

    @activity.defn
    @translated
    async def apply_change(self, word: StoreWord) -> Changed:
        """Apply the word. Tried again until the payment's own run has written its money down."""
        try:
            applied = await self._entitlements.apply(word.payment_id, word.word_id, word.change)
        except Conflict as not_paid_yet:
            raise still_pending(not_paid_yet.message) from not_paid_yet
        return Changed(event_ids=applied.event_ids)
