"""A verified notification: stored, and routed to its workflow, or to the operators."""

import asyncio
import logging
from dataclasses import dataclass
from uuid import UUID

from api.dependencies import Dependencies
from api.notifications.routing import Routed, route
from api.notifications.store_routing import route_change
from domain.alarm import Alarm, AlarmKind
from domain.errors import PaymentError
from domain.notification import Notification, NotificationKind, NotificationOutcome
from domain.payment import Payment
from storage.notifications import Arrival

# Different ones that are kept of an account's day; the others are counted by the alarm alone.
MOST_FOREIGN_KEPT = 1000
MOST_UNKNOWN_KEPT = 1000

# Each of them raised an alarm, which is logged once a day.
ALARMED = (NotificationOutcome.FOREIGN, NotificationOutcome.EXCESS)

_FOREIGN = Routed(NotificationOutcome.FOREIGN, "about an order of another merchant's account")
_OTHER = Routed(NotificationOutcome.IGNORED, "about nothing that we do")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Received:
    """How a notification was routed, and the row that still lacks its outcome, if any."""

    routed: Routed
    row: UUID | None


async def receive(
    dependencies: Dependencies, notification: Notification, arrival: Arrival
) -> Routed:
    """Store it, route it and store its outcome; raises as `route` does."""
    received = await store_and_route(dependencies, notification, arrival)
    await store_outcome(dependencies, received)
    return received.routed


async def store_and_route(
    dependencies: Dependencies, notification: Notification, arrival: Arrival
) -> Received:
    """Store and route it at the same time: its sender counts every millisecond.

    Once this returns both are durable; `store_outcome` may follow after the acknowledgement.
    """
    if notification.is_foreign:
        return await _keep_foreign(dependencies, notification, arrival)
    if notification.kind is NotificationKind.OTHER:
        return Received(_OTHER, None)
    stored = dependencies.stores.notifications
    # Before anything else: routing waits for it, and storing goes on at the same time.
    addressee = dependencies.expected.addressee(notification)
    if addressee is None:
        addressee = await stored.addressee(notification)
    if addressee is not None and _is_of_another_account(notification, addressee.payment):
        return await _keep_foreign(dependencies, notification, arrival)
    if addressee is None and notification.change is None:
        return await _keep_unknown(dependencies, notification, arrival)
    found = addressee.payment.id if addressee else None
    keeping = asyncio.create_task(stored.record(notification, arrival, found))
    try:
        if notification.change is None:
            routed = await route(dependencies, notification, addressee)
        else:
            change = notification.change
            routed = await route_change(dependencies, notification, change, addressee)
    finally:
        # Also where it could not be routed, whatever the reason.
        row = await keeping
    alarm = _alarm_for(addressee.payment, notification, routed) if addressee else None
    if alarm is not None:
        await dependencies.stores.alarms.raise_alarm(alarm)
    return Received(routed, row)


async def store_outcome(dependencies: Dependencies, received: Received) -> None:
    """Store its outcome. Where that fails, a repeat is routed again: no harm."""
    routed = received.routed
    if received.row is None:
        return
    try:
        await dependencies.stores.notifications.note(received.row, routed.outcome, routed.detail)
    except PaymentError as error:
        _log.warning("%s was not stored for a notification: %s", routed.outcome, error)


async def _keep_foreign(
    dependencies: Dependencies, notification: Notification, arrival: Arrival
) -> Received:
    """Raise an alarm for the account and keep the evidence. No workflow is sent it.

    It is genuine and not ours: the provider signs alike for every merchant, so anyone may have it
    sent here, as often as it pleases them.
    """
    stored = dependencies.stores
    alarm = Alarm(
        kind=AlarmKind.FOREIGN_NOTIFICATION,
        subject=f"{notification.provider}/{notification.account}",
        detail="a genuine notification names another app, seller, merchant id or account",
    )
    await stored.alarms.raise_alarm(alarm)
    if notification.kind is NotificationKind.OTHER:
        return Received(_FOREIGN, None)
    await stored.notifications.record_bounded(
        notification, arrival, _FOREIGN.outcome, _FOREIGN.detail, most=MOST_FOREIGN_KEPT
    )
    return Received(_FOREIGN, None)


async def _keep_unknown(
    dependencies: Dependencies, notification: Notification, arrival: Arrival
) -> Received:
    """Raise an alarm for the account and keep the evidence.

    Who holds an account's shared secret signs as the provider does.
    """
    routed = await route(dependencies, notification, None)
    alarm = Alarm(
        kind=AlarmKind.UNKNOWN_REFERENCE,
        subject=f"{notification.provider}/{notification.account}",
        detail=f"a genuine {notification.kind} notification names no order of ours",
    )
    await dependencies.stores.alarms.raise_alarm(alarm)
    await dependencies.stores.notifications.record_bounded(
        notification, arrival, routed.outcome, routed.detail, most=MOST_UNKNOWN_KEPT
    )
    return Received(routed, None)


def _alarm_for(payment: Payment, notification: Notification, routed: Routed) -> Alarm | None:
    """The alarm about the payment that the notification is for, where operators need one."""
    account = f"{notification.provider}/{notification.account}"
    purchase = notification.change.purchase if notification.change else None
    if routed.outcome is NotificationOutcome.EXCESS:
        kind, detail = AlarmKind.NOTIFICATION_LIMIT, routed.detail
    elif routed.outcome is NotificationOutcome.MISMATCH and purchase is not None:
        # The payment's own mark ends once the right purchase pays it: this stays.
        kind = AlarmKind.UNMATCHED_PURCHASE
        detail = f"transaction {purchase.transaction_id} bought {purchase.product_id}"
    else:
        return None
    return Alarm(kind=kind, subject=payment.reference, detail=f"{account}: {detail}")


def _is_of_another_account(notification: Notification, payment: Payment) -> bool:
    """Another account's notification, however well signed, is not about this payment."""
    verified_by = (notification.provider, notification.account)
    return verified_by != (payment.provider, payment.account)
