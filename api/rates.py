"""Bounded parts of the limits: token buckets, concurrency slots and pauses, each by key.

They live in one process. Nothing here grows without a bound, whoever sends whatever.
"""

import asyncio
import random
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from aiolimiter import AsyncLimiter

# A refused request is answered after about this long: a client that does not wait is made to.
PAUSE_SECONDS = 1.0
# As a factor. Pauses of one length would have all connections of a flood come back together.
PAUSE_SPREAD = (0.5, 1.5)
# Requests of a kind of callers that wait at the same time; each is a connection, some 20 KB.
MOST_WAITING = 1000
# About 200 bytes each. Whoever is forgotten begins with a full bucket again.
MOST_BUCKETS = 10_000


class Buckets:
    """Token buckets by key: `rate` tokens a second, at most `burst` together."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._by_key: OrderedDict[str, AsyncLimiter] = OrderedDict()

    async def take(self, key: str, tokens: int = 1) -> bool:
        """Take a token, without waiting; False where there is none.

        Of several tokens those that are there are taken.
        """
        bucket = self._bucket(key)
        for _ in range(tokens):
            if not bucket.has_capacity():
                return False
            await bucket.acquire()
        return True

    def _bucket(self, key: str) -> AsyncLimiter:
        bucket = self._by_key.get(key)
        if bucket is None:
            bucket = self._by_key[key] = AsyncLimiter(self._burst, self._burst / self._rate)
        self._by_key.move_to_end(key)
        while len(self._by_key) > MOST_BUCKETS:
            self._by_key.popitem(last=False)
        return bucket


class NoPlace(Exception):  # noqa: N818 - not an error of ours
    """No slot in time, or too many wait already."""


class Waiting:
    """The requests of one kind of callers that are made to wait."""

    def __init__(self) -> None:
        self._count = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Count as waiting inside; NoPlace where too many do already."""
        if self._count >= MOST_WAITING:
            raise NoPlace
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1

    async def pause(self) -> None:
        """Wait for about `PAUSE_SECONDS`. NoPlace."""
        with self.place():
            await asyncio.sleep(_pause())


def _pause() -> float:
    return PAUSE_SECONDS * random.uniform(*PAUSE_SPREAD)  # noqa: S311 - nothing to guess


@dataclass
class _Slot:
    semaphore: asyncio.Semaphore
    users: int = 0


class Slots:
    """How many may run at the same time by key. One who finds none waits, in order, then gives up.

    A key takes memory while a request runs or waits under it.
    """

    def __init__(self, each: int, waiting: Waiting) -> None:
        self._each, self._waiting = each, waiting
        self._by_key: dict[str, _Slot] = {}

    @asynccontextmanager
    async def slot(self, key: str) -> AsyncIterator[None]:
        """Hold a slot inside; NoPlace after about `PAUSE_SECONDS` without one."""
        slot = self._by_key.get(key)
        if slot is None:
            slot = self._by_key[key] = _Slot(asyncio.Semaphore(self._each))
        slot.users += 1
        try:
            await self._acquire(slot.semaphore)
            try:
                yield
            finally:
                slot.semaphore.release()
        finally:
            slot.users -= 1
            if not slot.users:
                del self._by_key[key]

    async def _acquire(self, semaphore: asyncio.Semaphore) -> None:
        if not semaphore.locked():
            await semaphore.acquire()
            return
        with self._waiting.place():
            try:
                async with asyncio.timeout(_pause()):
                    await semaphore.acquire()
            except TimeoutError as error:
                raise NoPlace from error
