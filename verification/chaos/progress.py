"""The database's state, read once a second for all who wait for a change."""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import text

from storage.database import Database, DatabaseUnavailable

LOOK_SECONDS = 1.0
_PAYMENTS = (
    "SELECT id, status, captured, attention, duplicate, late, checkout IS NOT NULL FROM payments"
)
_COUNTS = """
SELECT (SELECT count(*) FROM payments WHERE status = 'pending' AND attention IS NULL),
       (SELECT count(*) FROM refunds WHERE status = 'pending' AND attention IS NULL),
       (SELECT count(*) FROM events WHERE delivery = 'waiting')
"""
_REFUNDS = "SELECT status, count(*) FROM refunds GROUP BY status"
# Must hold at every moment, not only in the end.
_OVERDRAWN = "SELECT id FROM payments WHERE refund_reserved + refunded > captured"


@dataclass(frozen=True)
class Row:
    """A payment as it stood at the last look."""

    status: str
    captured: int
    attention: str | None
    duplicate: bool
    late: bool
    payable: bool


@dataclass
class Progress:
    """The last look. `overdrawn` keeps every payment that was ever seen to owe too much."""

    database: Database
    payments: dict[UUID, Row] = field(default_factory=dict)
    refunds: Counter[str] = field(default_factory=Counter)
    waiting: tuple[int, int, int] = (0, 0, 0)
    overdrawn: set[UUID] = field(default_factory=set)
    _looked: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            with suppress(DatabaseUnavailable):  # it was killed; it comes back
                await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Look once. DatabaseUnavailable."""
        async with self.database.statement() as connection:
            found = await connection.execute(text(_PAYMENTS))
            self.payments = {UUID(str(row[0])): Row(*row[1:]) for row in found}
            self.waiting = tuple((await connection.execute(text(_COUNTS))).one())
            self.refunds = Counter(dict(tuple(r) for r in await connection.execute(text(_REFUNDS))))
            overdrawn = await connection.scalars(text(_OVERDRAWN))
            self.overdrawn |= {UUID(str(id_)) for id_ in overdrawn}
        async with self._looked:
            self._looked.notify_all()

    async def until(
        self, payment_id: UUID, holds: Callable[[Row], bool], seconds: float
    ) -> Row | None:
        """The payment once the condition holds; None where it does not in time."""
        try:
            async with asyncio.timeout(seconds), self._looked:
                while True:
                    row = self.payments.get(payment_id)
                    if row is not None and holds(row):
                        return row
                    await self._looked.wait()
        except TimeoutError:
            return None

    @property
    def calm(self) -> bool:
        """Nothing is pending but what waits for an operator, and every event is delivered."""
        return self.waiting == (0, 0, 0)

    @property
    def statuses(self) -> Counter[str]:
        """How many payments stand where."""
        return Counter(row.status for row in self.payments.values())
