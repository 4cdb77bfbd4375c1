"""Tell the merchant: one event at a time, in order per payment, only what is committed."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Self
from uuid import UUID

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.bulkhead import Bulkhead
from activities.errors import still_pending, translated
from domain.errors import NotFound, PaymentError
from domain.event import DeliveryStatus, Event
from domain.frozen import Frozen
from domain.merchant import Merchant
from storage.events import EventStore
from webhooks.sender import ATTEMPT_SECONDS, WebhookFailed, WebhookSender

# Why an event was not sent yet: `await_turn` says when to try again.
EARLIER_EVENT_WAITING = "earlier_event_waiting"
# The endpoint was tried and did not take it.
WEBHOOK_FAILED = "webhook_failed"
# An endpoint that takes longer, or fails, is told through the queue alone for a while: it would
# hold the workflow tasks of other payments up.
AT_ONCE_SECONDS = 1.5
AVOIDED_SECONDS = 300.0
# To one merchant, and to all: endpoints may come to hang at any time, with all that they are told.
MOST_AT_ONCE, MOST_TOGETHER = 8, 32
# The same by the queue, of its worker's slots: to one merchant, to one whose endpoint was slow or
# failed of late, and to all such. Each delivery to an endpoint that hangs holds one for 12 seconds.
MOST_QUEUED, MOST_SLOW, MOST_SLOW_TOGETHER = 32, 16, 96
# What found no place is tried again when one should be free. Each refused try is a task for all
# that share the machine: there should be one an event, not one every few seconds.
LONGEST_WAIT_FOR_A_PLACE = 600.0

# From one event of a payment to the next, where the endpoint takes each at once.
TURN_SECONDS = 0.5

# One delivery, by one of the two ways.
Send = Callable[[Event, Merchant], Awaitable["Told"]]


class Told(Frozen):
    """How the merchant answered; `refund` where it cannot fulfil the order."""

    delivery: DeliveryStatus
    refund: bool = False
    reason: str | None = None

    @classmethod
    def of(cls, delivery: DeliveryStatus, veto: str | None) -> Self:
        """As the event's row has it."""
        return cls(delivery=delivery, refund=veto is not None, reason=veto or None)


class Tried(Frozen):
    """How telling at once went.

    `told` is None where the queue is to go on: where the endpoint `failed`, after a wait, of
    `retry_after` seconds if it named any (else 0); not at all where it is `gone`.
    """

    told: Told | None = None
    failed: bool = False
    retry_after: float = 0
    gone: bool = False

    @classmethod
    def after(cls, error: Exception) -> Self:
        """As the error of `deliver_at_once` has it; what else went wrong is no failed try."""
        if not isinstance(error, ApplicationError) or error.type != WEBHOOK_FAILED:
            return cls()
        named = error.next_retry_delay or timedelta(0)
        return cls(failed=True, retry_after=named.total_seconds(), gone=error.non_retryable)


class WebhookActivities:
    """Sends events."""

    def __init__(self, events: EventStore, sender: WebhookSender) -> None:
        self._events = events
        self._sender = sender
        # Merchants whose endpoint is not tried at once for a while, by the monotonic clock.
        self._avoided_until: dict[str, float] = {}
        self._telling = Bulkhead(MOST_AT_ONCE, MOST_TOGETHER)
        self._queued = Bulkhead(MOST_QUEUED)
        self._slow = Bulkhead(MOST_SLOW, MOST_SLOW_TOGETHER)
        # By the monotonic clock, the last turn that was given to an event of the merchant.
        self._turns: dict[str, float] = {}

    @activity.defn
    @translated
    async def deliver_event(self, event_id: UUID) -> Told:
        """Deliver one event. A failure is retried by the policy until the window closes.

        `still_pending` where other deliveries to the merchant hold all places that it may have.
        """
        return await self._deliver(event_id, self._send_queued)

    @activity.defn
    @translated
    async def deliver_at_once(self, event_id: UUID) -> Told:
        """The same within a workflow task; `still_pending` where the endpoint was slow of late."""
        return await self._deliver(event_id, self._send_at_once)

    async def try_at_once(self, event_id: UUID) -> Tried:
        """The same for a step that must not fail by it."""
        try:
            return Tried(told=await self._deliver(event_id, self._send_at_once))
        except (ApplicationError, PaymentError) as error:
            return Tried.after(error)

    async def _deliver(self, event_id: UUID, send: Send) -> Told:
        due = await self._events.due(event_id)
        if due is None:
            raise _no_event(event_id)
        event, merchant = due.event, due.merchant
        if event.delivery is not DeliveryStatus.WAITING:
            return Told.of(event.delivery, event.veto)
        if due.waits:
            raise ApplicationError(
                "an earlier event of this payment is still on its way",
                type=EARLIER_EVENT_WAITING,
                # Waiting is no failed try: it must not stretch the wait after one.
                non_retryable=True,
                category=ApplicationErrorCategory.BENIGN,
            )
        if merchant is None or merchant.webhook_url is None:
            await self._events.mark(event_id, DeliveryStatus.NO_ENDPOINT)
            return Told(delivery=DeliveryStatus.NO_ENDPOINT)
        return await send(event, merchant)

    @activity.defn
    @translated
    async def await_turn(self, event_id: UUID) -> None:
        """Return once nothing comes before the event.

        Looks again when its turn should have come; by the retry policy where the endpoint is slow
        or does not take what comes before.
        """
        event = await self._event(event_id)
        queue = await self._events.queue_before(event)
        if not queue.length:
            return
        in_a_moment = queue.moving and not self._is_avoided(event.merchant_id)
        raise still_pending(
            "an earlier event of this payment is still on its way",
            after=timedelta(seconds=TURN_SECONDS * queue.length) if in_a_moment else None,
        )

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
                type=WEBHOOK_FAILED,
                non_retryable=failure.gone,
                # A merchant's endpoint that is down is no fault of ours: no traceback in the log.
                category=ApplicationErrorCategory.BENIGN,
                next_retry_delay=_wait_after(event, failure.retry_after),
            ) from failure
        veto = None if answer.decision is None else answer.reason or ""
        stands = await self._events.delivered(event.id, answer.status, veto=veto)
        return Told.of(DeliveryStatus.DELIVERED, stands)

    async def _send_queued(self, event: Event, merchant: Merchant) -> Told:
        with ExitStack() as held:
            try:
                held.enter_context(self._queued.place(merchant.id))
                if self._is_avoided(merchant.id):
                    held.enter_context(self._slow.place(merchant.id))
            except ApplicationError as full:
                wait = self._reserve_turn(event, merchant.id)
                raise still_pending(full.message, after=timedelta(seconds=wait)) from None
            held.enter_context(self._watched(merchant.id))
            return await self._send(event, merchant)

    def _reserve_turn(self, event: Event, merchant_id: str) -> float:
        """Return the seconds after which a place should be free for this event."""
        now = time.monotonic()
        self._turns = {known: turn for known, turn in self._turns.items() if turn > now}
        if self._is_avoided(merchant_id):
            apart = ATTEMPT_SECONDS / MOST_SLOW
        else:
            apart = AT_ONCE_SECONDS / MOST_QUEUED
        wait = max(self._turns.get(merchant_id, now) - now, 1.0) + apart
        if wait > LONGEST_WAIT_FOR_A_PLACE:
            # So many that they must not all come back at the same moment.
            return LONGEST_WAIT_FOR_A_PLACE * (0.5 + event.id.int % 1000 / 2000)
        self._turns[merchant_id] = now + wait
        return wait

    async def _send_at_once(self, event: Event, merchant: Merchant) -> Told:
        if self._is_avoided(merchant.id):
            raise still_pending("the endpoint was slow or failed a moment ago")
        with self._telling.place(merchant.id), self._watched(merchant.id):
            try:
                # Never cut off: an endpoint that is slow must not have to answer twice for it.
                return await self._send(event, merchant)
            except ApplicationError:
                self._avoid(merchant.id)
                raise

    @contextmanager
    def _watched(self, merchant_id: str) -> Iterator[None]:
        """Take the merchant's endpoint for a slow one where the block takes long."""
        slow = asyncio.get_running_loop().call_later(AT_ONCE_SECONDS, self._avoid, merchant_id)
        try:
            yield
        finally:
            slow.cancel()

    def _is_avoided(self, merchant_id: str) -> bool:
        return self._avoided_until.get(merchant_id, 0.0) > time.monotonic()

    def _avoid(self, merchant_id: str) -> None:
        now = time.monotonic()
        kept = {known: until for known, until in self._avoided_until.items() if until > now}
        self._avoided_until = kept | {merchant_id: now + AVOIDED_SECONDS}

    async def _event(self, event_id: UUID) -> Event:
        event = await self._events.get(event_id)
        if event is None:
            raise _no_event(event_id)
        return event


def _wait_after(event: Event, named: float | None) -> timedelta | None:
    """The wait after this failed try; None where Temporal's own is the right one.

    An endpoint may name a longer wait than the policy's, in seconds, never a shorter one: all that
    it fails to take would be tried each second for days, at the cost of other merchants. Temporal
    counts what waited for a place as well, and would wait for an hour after a first failure.
    """
    asked = None if named is None else timedelta(seconds=named)
    if not activity.in_activity() or (info := activity.info()).is_local:
        return asked
    policy = info.retry_policy
    if policy is None:
        return asked
    failed = min(event.attempts, info.attempt - 1)
    longest = policy.maximum_interval or timedelta(days=1)
    grown = policy.initial_interval.total_seconds()
    for _ in range(failed):
        grown = min(grown * policy.backoff_coefficient, longest.total_seconds())
    if asked is not None and asked.total_seconds() > grown:
        return asked
    return None if failed == info.attempt - 1 else timedelta(seconds=grown)


def _no_event(event_id: UUID) -> NotFound:
    return NotFound(f"No event {event_id}.")
