"""The refund's database activities: reserve, settle or release, flag."""

from uuid import UUID

from temporalio import activity

from activities.errors import still_pending, translated
from domain.errors import Conflict, NotFound
from domain.frozen import Frozen
from domain.refund import Refund
from domain.report import Attention
from storage.refunds import HELD_BY_OTHERS, RefundStore


class RefundSettled(Frozen):
    """The refund as stored, and the merchant's event."""

    refund: Refund
    event_id: UUID | None = None


class RefundFlag(Frozen):
    """An operator must look at this refund, and why."""

    refund_id: UUID
    attention: Attention
    detail: str


class RefundActivities:
    """Writes refunds."""

    def __init__(self, refunds: RefundStore) -> None:
        self._refunds = refunds

    @activity.defn
    @translated
    async def reserve_refund(self, refund: Refund) -> Refund:
        """Set the money aside, so that no two refunds give the same fen. Raises Conflict.

        Tried again for as long as other refunds hold all that a refund of ours would take.
        """
        try:
            return await self._refunds.reserve(refund)
        except Conflict as conflict:
            if conflict.code == HELD_BY_OTHERS:
                raise still_pending("other refunds hold the money") from conflict
            raise

    @activity.defn
    @translated
    async def load_refund(self, refund_id: UUID) -> Refund:
        """Return the stored refund. Raises NotFound."""
        refund = await self._refunds.get(refund_id)
        if refund is None:
            raise NotFound(f"No refund {refund_id}.")
        return refund

    @activity.defn
    @translated
    async def record_refused_refund(self, refund: Refund) -> RefundSettled:
        """Record a failed refund that never held anything. Raises NotFound.

        Returns it without an event where it holds its money by now: it goes on.
        """
        stored, event_id = await self._refunds.record_refused(refund)
        return RefundSettled(refund=stored, event_id=event_id)

    @activity.defn
    @translated
    async def settle_refund(self, refund: Refund) -> RefundSettled:
        """Write the refund's end: given back, or released for another refund."""
        stored, event_id = await self._refunds.finalise(refund)
        return RefundSettled(refund=stored, event_id=event_id)

    @activity.defn
    @translated
    async def record_external_refund(self, refund: Refund) -> RefundSettled:
        """Record a refund that was made at the provider's console. Raises Conflict, NotFound."""
        stored, event_id = await self._refunds.record_external(refund)
        return RefundSettled(refund=stored, event_id=event_id)

    @activity.defn
    @translated
    async def flag_refund(self, flag: RefundFlag) -> UUID:
        """Raise the flag and record its event; returns the event's id."""
        return await self._refunds.flag(flag.refund_id, flag.attention, flag.detail)
