"""An API that has no way for what comes after a payment's own run."""

from fastapi import FastAPI
from temporalio.client import Client

from api import app
from api.notifications import routing
from domain.notification import Notification
from workflows.late_payment import LateOrder


async def _forget(_client: Client, _order: LateOrder, _notification: Notification) -> None:
    pass


def create_app() -> FastAPI:
    """The sabotaged application."""
    vars(routing)["signal_late"] = _forget
    return app.create_app()
