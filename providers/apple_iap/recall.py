"""Which purchase paid which payment, as the App Store's history has told: read once for all.

The history cannot be asked for one of our payments, and buyers who look at a price and leave are
many: without a memory, every such payment would read a day of everybody's notifications.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.errors import ProviderError
from domain.notification import Notification

# What was read stays read, even where the rest of a long history does not come in time.
SLICE = timedelta(hours=6)
# Told late and dated early: how far behind the newest entry the next reading begins.
OVERLAP = timedelta(hours=1)
MOST = 100_000

_MOMENT = timedelta(seconds=1)

Read = Callable[[datetime, datetime | None], AsyncIterator[Notification]]


@dataclass(frozen=True)
class Wanted:
    """What a payment is for."""

    product_id: str | None
    quantity: int


@dataclass(frozen=True)
class _Sale:
    transaction_id: str
    told_at: datetime
    test: bool
    of: Wanted


# Of one payment: the first sale of each product and quantity. A buyer may buy what else the app
# sells under the payment's id, and must not hide the right purchase by it.
_Sales = dict[Wanted, _Sale]


class Recall:
    """A span of the history without a gap, and the sales in it.

    `read` yields the notifications between two moments; without an end, all that there are.
    """

    def __init__(self, read: Read, most: int = MOST) -> None:
        self._read = read
        self._most = most
        self._sales: OrderedDict[str, _Sales] = OrderedDict()
        self._span: tuple[datetime, datetime] | None = None
        self._lock = asyncio.Lock()

    async def find(
        self, reference: str, since: datetime, now: datetime, wanted: Wanted
    ) -> str | None:
        """Return the transaction that paid this payment, which was created at `since`.

        A real sale of what is wanted comes first, then any sale with its reference; None where the
        history has none. Raises as reading does, unless the wanted purchase was found.
        """
        async with self._lock:
            if wanted not in self._sales.get(reference, {}):
                try:
                    await self._read_on(*await self._read_back(since), now)
                except ProviderError:
                    if wanted not in self._sales.get(reference, {}):
                        raise
            found = _best(self._sales.get(reference, {}), wanted)
            self._forget()
            return found.transaction_id if found else None

    async def _read_back(self, since: datetime) -> tuple[datetime, datetime]:
        begin, end = self._span = self._span or (since, since)
        while since < begin:
            earlier = max(since, begin - SLICE)
            await self._take(earlier, begin)
            begin = earlier
            self._span = (begin, end)
        return begin, end

    async def _read_on(self, begin: datetime, end: datetime, now: datetime) -> None:
        at = max(begin, end - OVERLAP)
        while at + SLICE < now:
            await self._take(at, at + SLICE)
            at += SLICE
            self._span = (begin, at)
        await self._take(at, None)
        self._span = (begin, max(at, now))

    async def _take(self, begin: datetime, end: datetime | None) -> None:
        async for told in self._read(begin, end):
            # A sale in another app, under a token of ours, changes nothing: it has no change.
            if told.payment and told.change and (purchase := told.change.purchase):
                of = Wanted(purchase.product_id, purchase.quantity)
                sale = _Sale(purchase.transaction_id, purchase.signed_at, purchase.test, of)
                known = self._sales.setdefault(told.reference, {})
                # Of a payment with both, the real purchase is the one to find.
                if of not in known or (known[of].test and not sale.test):
                    known[of] = sale

    def _forget(self) -> None:
        """Keep the newest; what is forgotten lies outside the span and would be read again."""
        while self._span and len(self._sales) > self._most:
            _, sales = self._sales.popitem(last=False)
            begin, end = self._span
            newest = max(sale.told_at for sale in sales.values())
            begin = max(begin, newest + _MOMENT)
            self._span = (begin, end) if begin < end else None


def _best(sales: _Sales, wanted: Wanted) -> _Sale | None:
    """The wanted sale before any other, and a real one before a test purchase."""
    ranked = sorted(sales.values(), key=lambda sale: (sale.of != wanted, sale.test))
    return ranked[0] if ranked else None
