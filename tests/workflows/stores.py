"""The real stores, with outages by script: what happens where the database is away or dies."""

import asyncio
from uuid import UUID

from domain.event import DeliveryStatus
from domain.payment import Payment
from domain.refund import Refund
from domain.store_change import StoreChange
from storage.database import Database, DatabaseUnavailable
from storage.entitlements import Applied, EntitlementStore
from storage.events import EventStore
from storage.payments import PaymentStore
from storage.refunds import RefundStore

# More than the tries inside the workflow task, so that the queue must carry the step.
OUTLASTS_THE_TASK = 4


class Outages:
    """What befalls the next calls of a verb for one record: an error, or a wait for a gate."""

    def __init__(self) -> None:
        self._scripts: dict[tuple[str, UUID], list[Exception | asyncio.Event]] = {}
        self._waiting: set[tuple[str, UUID]] = set()

    def script(self, verb: str, record: UUID, *steps: Exception | asyncio.Event) -> None:
        self._scripts.setdefault((verb, record), []).extend(steps)

    def down(self, verb: str, record: UUID, times: int = OUTLASTS_THE_TASK) -> None:
        self.script(verb, record, *[DatabaseUnavailable("down")] * times)

    def left(self, verb: str, record: UUID) -> int:
        return len(self._scripts.get((verb, record), ()))

    async def reached(self, verb: str, record: UUID) -> None:
        """The call waits at its gate."""
        async with asyncio.timeout(20):
            while (verb, record) not in self._waiting:  # noqa: ASYNC110 - one line, many gates
                await asyncio.sleep(0.03)

    async def pass_through(self, verb: str, record: UUID) -> None:
        steps = self._scripts.get((verb, record))
        step = steps.pop(0) if steps else None
        if isinstance(step, asyncio.Event):
            self._waiting.add((verb, record))
            await step.wait()
        elif step is not None:
            raise step


class ShakyPayments(PaymentStore):
    def __init__(self, database: Database, outages: Outages) -> None:
        super().__init__(database)
        self._outages = outages

    async def record(self, payment: Payment) -> Payment:
        await self._outages.pass_through("record", payment.id)
        return await super().record(payment)

    async def finalise(self, payment: Payment) -> tuple[Payment, UUID | None]:
        await self._outages.pass_through("finalise", payment.id)
        return await super().finalise(payment)


class ShakyRefunds(RefundStore):
    def __init__(self, database: Database, outages: Outages) -> None:
        super().__init__(database)
        self._outages = outages

    async def reserve(self, refund: Refund) -> Refund:
        await self._outages.pass_through("reserve", refund.id)
        return await super().reserve(refund)

    async def finalise(self, refund: Refund) -> tuple[Refund, UUID | None]:
        await self._outages.pass_through("settle", refund.id)
        return await super().finalise(refund)


class ShakyEvents(EventStore):
    def __init__(self, database: Database, outages: Outages) -> None:
        super().__init__(database)
        self._outages = outages

    async def mark(self, event_id: UUID, delivery: DeliveryStatus) -> None:
        await super().mark(event_id, delivery)
        # After the write: the answer is lost, the row is not.
        await self._outages.pass_through("mark", event_id)

    async def delivered(
        self, event_id: UUID, http_status: int, *, veto: str | None = None
    ) -> str | None:
        stands = await super().delivered(event_id, http_status, veto=veto)
        await self._outages.pass_through("mark", event_id)
        return stands


class ShakyEntitlements(EntitlementStore):
    def __init__(self, database: Database, outages: Outages) -> None:
        super().__init__(database)
        self._outages = outages

    async def apply(self, payment_id: UUID, report_id: str, change: StoreChange) -> Applied:
        await self._outages.pass_through("apply", payment_id)
        return await super().apply(payment_id, report_id, change)
