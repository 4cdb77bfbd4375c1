"""Tell the merchant: one event at a time, in order per payment, only what is committed."""

from datetime import timedelta
from uuid import UUID

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.errors import still_pending, translated
from domain.errors import NotFound
from domain.event import DeliveryStatus, Event, EventType
from domain.frozen import Frozen
from domain.merchant import Merchant
from storage.events import EventStore
from storage.merchants import MerchantStore
from webhooks.sender import WebhookFailed, WebhookSender

# Why an event was not sent yet: `await_turn` says when to try again.
EARLIER_EVENT_WAITING = "earlier_event_waiting"


class Told(Frozen):
    """How the merchant answered; `refund` where it cannot fulfil the order."""

    delivery: DeliveryStatus
    refund: bool = False
    reason: str | None = None


class WebhookActivities:
    """Sends events."""

    def __init__(self, events: EventStore, merchants: MerchantStore, sender: WebhookSender) -> None:
        self._events = events
        self._merchants = merchants
        self._sender = sender

    @activity.defn
    @translated
    async def deliver_event(self, event_id: UUID) -> Told:
        """Deliver one event. A failure is retried by the policy until the window closes."""
        event = await self._event(event_id)
        if event.delivery is not DeliveryStatus.WAITING and not _answer_lost(event):
            return Told(delivery=event.delivery)
        if await self._events.has_earlier_waiting(event):
            raise ApplicationError(
                "an earlier event of this payment is still on its way",
                type=EARLIER_EVENT_WAITING,
                # Waiting is no failed try: it must not stretch the wait after one.
                non_retryable=True,
                category=ApplicationErrorCategory.BENIGN,
            )
        merchant = await self._merchants.get(event.merchant_id)
        if merchant is None or merchant.webhook_url is None:
            await self._events.mark(event_id, DeliveryStatus.NO_ENDPOINT)
            return Told(delivery=DeliveryStatus.NO_ENDPOINT)
        return await self._send(event, merchant)

    @activity.defn
    @translated
    async def await_turn(self, event_id: UUID) -> None:
        """Return once nothing comes before the event: the retry policy is the wait."""
        if await self._events.has_earlier_waiting(await self._event(event_id)):
            raise still_pending("an earlier event of this payment is still on its way")

    @activity.defn
    @translated
    async def give_up_event(self, event_id: UUID) -> None:
        """The window has closed: later events of the payment must not wait any longer."""
        await self._events.mark(event_id, DeliveryStatus.GIVEN_UP)

    async def _send(self, event: Event, merchant: Merchant) -> Told:
        try:
            answer = await self._sender.deliver(event, merchant)
        except WebhookFailed as failure:
            await self._events.record_attempt(event.id, failure.status, failure.message)
            raise ApplicationError(
                failure.message,
                type="webhook_failed",
                non_retryable=failure.gone,
                next_retry_delay=(
                    None if failure.retry_after is None else timedelta(seconds=failure.retry_after)
                ),
            ) from failure
        await self._events.record_attempt(event.id, answer.status, None)
        await self._events.mark(event.id, DeliveryStatus.DELIVERED)
        return Told(
            delivery=DeliveryStatus.DELIVERED,
            refund=answer.decision == "refund",
            reason=answer.reason,
        )

    async def _event(self, event_id: UUID) -> Event:
        event = await self._events.get(event_id)
        if event is None:
            raise NotFound(f"No event {event_id}.")
        return event


def _answer_lost(event: Event) -> bool:
    """An earlier try delivered it and then died with the merchant's answer, maybe a veto.

    The merchant knows the event by its id and gives the same answer again. Only a success can be
    vetoed, so nothing else is worth telling twice.
    """
    delivered = event.delivery is DeliveryStatus.DELIVERED and activity.info().attempt > 1
    return delivered and event.type is EventType.PAYMENT_SUCCEEDED
