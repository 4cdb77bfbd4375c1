"""A store's reports, applied in the database. Each may be applied twice and counts once."""

from uuid import UUID

from temporalio import activity

from activities.errors import still_pending, translated
from domain.errors import Conflict
from domain.frozen import Frozen
from domain.store_change import StoreWord
from storage.entitlements import EntitlementStore


class Changed(Frozen):
    """The events of what the report changed, in order; none for no change."""

    event_ids: list[UUID]


class EntitlementActivities:
    """Writes grants, entitlements and the refunds that a store makes."""

    def __init__(self, entitlements: EntitlementStore) -> None:
        self._entitlements = entitlements

    @activity.defn
    @translated
    async def apply_change(self, word: StoreWord) -> Changed:
        """Apply the report. Retried until the payment's own workflow has recorded its money."""
        try:
            applied = await self._entitlements.apply(word.payment_id, word.word_id, word.change)
        except Conflict as not_paid_yet:
            raise still_pending(not_paid_yet.message) from not_paid_yet
        return Changed(event_ids=applied.event_ids)
