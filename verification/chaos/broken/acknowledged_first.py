"""An API that acknowledges a notification first and hands it on three seconds later."""

import asyncio
from contextlib import suppress

from fastapi import FastAPI
from temporalio.service import RPCError

from api import app
from api.dependencies import Dependencies
from api.notifications import receive, routing
from domain.notification import Notification, NotificationOutcome
from storage.database import DatabaseUnavailable
from storage.notifications import Addressee

QUEUED_SECONDS = 3.0
_queued: set[asyncio.Task[None]] = set()


async def _acknowledge(
    dependencies: Dependencies, notification: Notification, addressee: Addressee | None
) -> routing.Routed:
    task = asyncio.create_task(_deliver_later(dependencies, notification, addressee))
    _queued.add(task)
    task.add_done_callback(_queued.discard)
    return routing.Routed(NotificationOutcome.SIGNALLED)


async def _deliver_later(
    dependencies: Dependencies, notification: Notification, addressee: Addressee | None
) -> None:
    await asyncio.sleep(QUEUED_SECONDS)
    with suppress(RPCError, DatabaseUnavailable):
        await routing.route(dependencies, notification, addressee)


def create_app() -> FastAPI:
    """The sabotaged application."""
    # A guard that is not where it is looked for would be broken in vain, and seem needless.
    if vars(receive)[routing.route.__name__] is not routing.route:
        raise LookupError("the hand-over is not where this breaks it")
    vars(receive)[routing.route.__name__] = _acknowledge
    return app.create_app()
