"""A verified notification, heard: kept, and handed to the run that it is for."""

import asyncio
import logging
from dataclasses import dataclass
from uuid import UUID

from api.deliveries import Delivered, deliver
from api.dependencies import Dependencies
from api.store_words import deliver_change
from domain.errors import PaymentError
from domain.notification import Notification
from storage.notifications import Arrival

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Heard:
    """What a notification led to, and the row that it is kept in."""

    delivered: Delivered
    row: UUID


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
    stored = dependencies.stores.notifications
    # Before anything else: it is what the handing over waits for, and keeping goes on beside that.
    addressee = dependencies.expected.addressee(notification)
    if addressee is None:
        addressee = await stored.addressee(notification)
    keeping = asyncio.create_task(stored.record(notification, arrival))
    try:
        if notification.change is None:
            delivered = await deliver(dependencies, notification, addressee)
        else:
            change = notification.change
            delivered = await deliver_change(dependencies, notification, change, addressee)
    finally:
        # Also where nobody took it, whatever the reason.
        row = await keeping
    return Heard(delivered, row)


async def note(dependencies: Dependencies, heard: Heard) -> None:
    """Write down what it led to. Where that fails, a repeat is handed over again: no harm."""
    delivered = heard.delivered
    try:
        await dependencies.stores.notifications.note(heard.row, delivered.outcome, delivered.detail)
    except PaymentError as error:
        _log.warning("%s was not noted for a notification: %s", delivered.outcome, error)
