"""A verified notification: kept, and handed to the workflow that it is for, or to the operators."""

import asyncio
import logging
from dataclasses import dataclass
from uuid import UUID

from api.dependencies import Dependencies
from api.notifications.routing import Delivered, deliver
from api.notifications.store_routing import deliver_change
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

_FOREIGN = Delivered(NotificationOutcome.FOREIGN, "about an order of another merchant's account")
_OTHER = Delivered(NotificationOutcome.IGNORED, "about nothing that we do")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Heard:
    """What a notification led to, and the row that is still to say so, if any."""

    delivered: Delivered
    row: UUID | None


async def hear(
    dependencies: Dependencies, notification: Notification, arrival: Arrival
) -> Delivered:
    """Keep it, hand it over and note what that led to; raises as `deliver` does."""
    heard = await take(dependencies, notification, arrival)
    await note(dependencies, heard)
    return heard.delivered


async def take(dependencies: Dependencies, notification: Notification, arrival: Arrival) -> Heard:
    """Keep it and hand it over, at once: its sender counts every millisecond.

    Once this returns both are durable; `note` may follow after the acknowledgement.
    """
    if notification.is_foreign:
        return await _keep_foreign(dependencies, notification, arrival)
    if notification.kind is NotificationKind.OTHER:
        return Heard(_OTHER, None)
    stored = dependencies.stores.notifications
    # Before anything else: it is what the handing over waits for, and keeping goes on beside that.
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
            delivered = await deliver(dependencies, notification, addressee)
        else:
            change = notification.change
            delivered = await deliver_change(dependencies, notification, change, addressee)
    finally:
        # Also where nobody took it, whatever the reason.
        row = await keeping
    alarm = _alarm_for(addressee.payment, notification, delivered) if addressee else None
    if alarm is not None:
        await dependencies.stores.alarms.raise_alarm(alarm)
    return Heard(delivered, row)


async def note(dependencies: Dependencies, heard: Heard) -> None:
    """Write down what it led to. Where that fails, a repeat is handed over again: no harm."""
    delivered = heard.delivered
    if heard.row is None:
        return
    try:
        await dependencies.stores.notifications.note(heard.row, delivered.outcome, delivered.detail)
    except PaymentError as error:
        _log.warning("%s was not noted for a notification: %s", delivered.outcome, error)


async def _keep_foreign(
    dependencies: Dependencies, notification: Notification, arrival: Arrival
) -> Heard:
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
        return Heard(_FOREIGN, None)
    await stored.notifications.record_bounded(
        notification, arrival, _FOREIGN.outcome, _FOREIGN.detail, most=MOST_FOREIGN_KEPT
    )
    return Heard(_FOREIGN, None)


async def _keep_unknown(
    dependencies: Dependencies, notification: Notification, arrival: Arrival
) -> Heard:
    """Raise an alarm for the account and keep the evidence.

    Who holds an account's shared secret signs as the provider does.
    """
    delivered = await deliver(dependencies, notification, None)
    alarm = Alarm(
        kind=AlarmKind.UNKNOWN_REFERENCE,
        subject=f"{notification.provider}/{notification.account}",
        detail=f"a genuine {notification.kind} notification names no order of ours",
    )
    await dependencies.stores.alarms.raise_alarm(alarm)
    await dependencies.stores.notifications.record_bounded(
        notification, arrival, delivered.outcome, delivered.detail, most=MOST_UNKNOWN_KEPT
    )
    return Heard(delivered, None)


def _alarm_for(payment: Payment, notification: Notification, delivered: Delivered) -> Alarm | None:
    """The alarm about the payment that the notification is for, where operators need one."""
    account = f"{notification.provider}/{notification.account}"
    purchase = notification.change.purchase if notification.change else None
    if delivered.outcome is NotificationOutcome.EXCESS:
        kind, detail = AlarmKind.NOTIFICATION_LIMIT, delivered.detail
    elif delivered.outcome is NotificationOutcome.MISMATCH and purchase is not None:
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
