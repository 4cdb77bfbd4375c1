"""The payment's database activities. Each may run twice and changes nothing the second time."""

from uuid import UUID

from temporalio import activity

from activities.errors import translated
from domain.errors import NotFound
from domain.frozen import Frozen
from domain.payment import Payment
from domain.report import Attention
from storage.payments import PaymentStore


class Settled(Frozen):
    """The payment as it is stored, and the event that the merchant is to be sent.

    `earlier_event_id` is the event of an end before this one that comes first and is still unsent.
    `moved_event_id` is the event of another payment, which lost its entitlement to this one.
    `refund_event_ids` are of refunds that the store had made before we learned of its purchase.
    """

    payment: Payment
    event_id: UUID | None = None
    earlier_event_id: UUID | None = None
    moved_event_id: UUID | None = None
    refund_event_ids: tuple[UUID, ...] = ()


class Flag(Frozen):
    """An operator must look at this payment, and why.

    `refunded` is the provider's cumulative refunded sum, in minor units, where that is the reason.
    """

    payment_id: UUID
    attention: Attention
    detail: str
    subject: str | None = None
    refunded: int | None = None


class PaymentActivities:
    """Writes payments."""

    def __init__(self, payments: PaymentStore) -> None:
        self._payments = payments

    @activity.defn
    @translated
    async def record_payment(self, payment: Payment) -> Payment:
        """Store the order, before anything is sent. Raises Conflict."""
        return await self._payments.record(payment)

    @activity.defn
    @translated
    async def load_payment(self, payment_id: UUID) -> Payment:
        """The payment as stored. Raises NotFound."""
        payment = await self._payments.get(payment_id)
        if payment is None:
            raise NotFound(f"No payment {payment_id}.")
        return payment

    @activity.defn
    @translated
    async def finalise_payment(self, payment: Payment) -> Settled:
        """Write the final status and its one event, together."""
        stored, event_id = await self._payments.finalise(payment)
        settled = await self._settled(stored, event_id)
        earlier = await self._payments.unsent_end(stored)
        return settled.model_copy(update={"earlier_event_id": earlier})

    @activity.defn
    @translated
    async def capture_late_payment(self, payment: Payment) -> Payment:
        """Count money that arrived after we had closed the payment."""
        return await self._payments.capture_late(payment)

    @activity.defn
    @translated
    async def accept_late_payment(self, payment: Payment) -> Settled:
        """Take a late payment as paid."""
        stored, event_id = await self._payments.accept_late(payment.id)
        return await self._settled(stored, event_id)

    @activity.defn
    @translated
    async def flag_payment(self, flag: Flag) -> UUID | None:
        """Raise the flag and record its event; returns the event's id.

        None where the flag is about a refunded sum that our refunds account for by now.
        """
        return await self._payments.flag(
            flag.payment_id,
            flag.attention,
            flag.detail,
            subject=flag.subject,
            refunded=flag.refunded,
        )

    @activity.defn
    @translated
    async def clear_flag(self, flag: Flag) -> None:
        """Clear a flag that was settled; one of another reason stays."""
        await self._payments.clear(flag.payment_id, flag.attention)

    async def _settled(self, stored: Payment, event_id: UUID | None) -> Settled:
        moved = await self._payments.find_moved_event(stored)
        refunds = await self._payments.find_refund_events(stored)
        return Settled(
            payment=stored, event_id=event_id, moved_event_id=moved, refund_event_ids=tuple(refunds)
        )
