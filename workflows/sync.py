"""`sync`: query the provider now for a caller, one query of a payment at a time."""

from datetime import datetime
from typing import Self

from temporalio import workflow

from domain.payment import Payment
from workflows.conversation import Conversation
from workflows.payment_state import PaymentState

IN_PROGRESS = "sync_in_progress"


class SyncedPayment(Payment):
    """The payment after `sync`; `synced_at` is when the provider answered it, None for never."""

    synced_at: datetime | None = None

    @classmethod
    def at(cls, payment: Payment, synced_at: datetime | None) -> Self:
        """Return the payment with that time."""
        return cls(**dict(payment), synced_at=synced_at)


class Sync:
    """The queries that callers of `sync` wait for."""

    def __init__(self, state: PaymentState, provider: Conversation) -> None:
        self._state = state
        self._provider = provider
        self._in_progress = False
        self._synced_at: datetime | None = None

    def refusal(self) -> str | None:
        """Why no query starts now.

        A handler that waits is one of the few updates that Temporal has in flight for a workflow:
        callers must not fill them while the provider or the database is slow.
        """
        if not self._in_progress:
            return None
        return "The provider is being queried already: read the payment, or repeat this later."

    async def query(self) -> SyncedPayment:
        """Query the provider, unless the payment has ended, and apply its report.

        Raises FailureError where the provider does not answer within 30 seconds.
        """
        if not self._state.final:
            self._in_progress = True
            try:
                self._state.hear(await self._provider.ask("query for a caller of sync"))
                self._synced_at = workflow.now()
                await workflow.wait_condition(lambda: self._state.final or self._state.pending)
            finally:
                self._in_progress = False
        return SyncedPayment.at(self._state.payment, self._synced_at)
