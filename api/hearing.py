"""A verified notification, heard: handed to the run that it is for, and kept."""

from api.deliveries import Delivered, deliver
from api.dependencies import Dependencies
from api.store_words import deliver_change
from domain.notification import Notification, NotificationOutcome
from storage.notifications import Arrival


async def hear(
    dependencies: Dependencies, notification: Notification, arrival: Arrival
) -> Delivered:
    """Hand it over, and keep it with what that led to; raises as `deliver` does.

    It is kept after it was handed over, in one row that is written once: a crash in between leaves
    it unacknowledged, so it comes again, and its run knows the message.
    """
    outcome, detail = NotificationOutcome.RECEIVED, ""
    try:
        delivered = await _hand_over(dependencies, notification)
        outcome, detail = delivered.outcome, delivered.detail
    finally:
        # Also where nobody took it, whatever the reason.
        await dependencies.stores.notifications.record(notification, arrival, outcome, detail)
    return delivered


async def _hand_over(dependencies: Dependencies, notification: Notification) -> Delivered:
    if notification.change is None:
        return await deliver(dependencies, notification)
    return await deliver_change(dependencies, notification, notification.change)
