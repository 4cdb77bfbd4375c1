"""Bounded parts of the limits: token buckets, concurrency slots and pauses, each by key.

They live in one process. Nothing here grows without a bound, whoever sends whatever.
"""

import asyncio
import random
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiolimiter import AsyncLimiter

# A rejected request is answered after about this long: a client that does not wait is made to.
PAUSE_SECONDS = 1.0
# As a factor. Pauses of one length would have all connections of a flood come back together.
PAUSE_SPREAD = (0.5, 1.5)
# From so many waiting requests of one key on its pauses are longer, up to the factor: each answer
# costs the process half a millisecond, whoever sent it. With the spread still less than the time
# that a credential may take to be checked.
WAITING_AT_USUAL_PAUSE = 100
LONGEST_PAUSE = 6.0
# Requests of a kind of callers that wait at the same time; each is a connection, some 20 KB.
MOST_WAITING = 3000
MOST_WAITING_OF_ONE = 1500
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
    """No slot in time, or too many wait already.

    `is_immediate` where the caller did not wait: its connection is better closed than kept.
    """

    def __init__(self, *, is_immediate: bool = False) -> None:
        super().__init__()
        self.is_immediate = is_immediate


class Waiting:
    """The requests of one kind of callers that are made to wait, by the key they are limited by.

    No key takes the room of another: where all is taken, the key with the most gives some up.
    Where keys cost their owner nothing, pauses also grow with all that wait, from `usual` on.
    """

    def __init__(self, usual: int | None = None) -> None:
        self._usual = usual
        # The waits of a key in the order in which they began; ending one is a deadline of now.
        self._by_key: dict[str, dict[asyncio.Timeout, None]] = {}
        self._count = 0

    async def pause(self, key: str) -> None:
        """Wait for about `PAUSE_SECONDS`, longer where very many of the key wait. NoPlace."""
        async with self._counted(key, None):
            await asyncio.sleep(self._seconds(key))

    @asynccontextmanager
    async def limited(self, key: str) -> AsyncIterator[None]:
        """Give what is awaited inside as long as a pause; NoPlace after it."""
        async with self._counted(key, self._seconds(key)):
            yield

    @asynccontextmanager
    async def _counted(self, key: str, seconds: float | None) -> AsyncIterator[None]:
        self._make_room(key)
        deadline = asyncio.timeout(seconds)
        self._by_key.setdefault(key, {})[deadline] = None
        self._count += 1
        try:
            async with deadline:
                yield
        except TimeoutError as error:
            raise NoPlace from error
        finally:
            self._forget(key, deadline)

    def _make_room(self, key: str) -> None:
        own = len(self._by_key.get(key, ()))
        if own >= MOST_WAITING_OF_ONE:
            raise NoPlace(is_immediate=True)
        if self._count < MOST_WAITING:
            return
        greatest = max(self._by_key, key=lambda each: len(self._by_key[each]))
        if len(self._by_key[greatest]) <= own + 1:
            raise NoPlace(is_immediate=True)
        oldest = next(iter(self._by_key[greatest]))
        self._forget(greatest, oldest)
        if not oldest.expired():
            oldest.reschedule(asyncio.get_running_loop().time())

    def _forget(self, key: str, deadline: asyncio.Timeout) -> None:
        waits = self._by_key.get(key, {})
        if deadline not in waits:
            return
        del waits[deadline]
        self._count -= 1
        if not waits:
            del self._by_key[key]

    def _seconds(self, key: str) -> float:
        longer = len(self._by_key.get(key, ())) / WAITING_AT_USUAL_PAUSE
        for_all = self._count / self._usual if self._usual else 0.0
        factor = min(max(1.0, longer, for_all), LONGEST_PAUSE)
        return PAUSE_SECONDS * factor * random.uniform(*PAUSE_SPREAD)  # noqa: S311 - nothing to guess


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
    async def slot(self, key: str, waits_as: str | None = None) -> AsyncIterator[None]:
        """Hold a slot inside; NoPlace after about `PAUSE_SECONDS` without one.

        `waits_as` is the key that the wait is counted under, where it is another.
        """
        slot = self._by_key.get(key)
        if slot is None:
            slot = self._by_key[key] = _Slot(asyncio.Semaphore(self._each))
        slot.users += 1
        try:
            await self._acquire(slot.semaphore, key if waits_as is None else waits_as)
            try:
                yield
            finally:
                slot.semaphore.release()
        finally:
            slot.users -= 1
            if not slot.users:
                del self._by_key[key]

    async def _acquire(self, semaphore: asyncio.Semaphore, waits_as: str) -> None:
        if not semaphore.locked():
            await semaphore.acquire()
            return
        async with self._waiting.limited(waits_as):
            await semaphore.acquire()
