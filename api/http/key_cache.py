"""API keys that were looked up a moment ago, so that a request costs no statement."""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from domain.merchant import Merchant

# How long a revoked key, or a merchant as it was before a change, may still be taken.
KEY_SECONDS = 5.0
MOST_KEYS = 10_000
# Statements at the same time: the pool has 20 connections, and strangers cause these.
MOST_LOOKUPS = 4

Lookup = Callable[[str], Awaitable[Merchant | None]]


@dataclass(frozen=True)
class _Known:
    merchant: Merchant
    until: float


class KeyCache:
    """The merchants of known keys; a key itself is never kept, only its digest.

    Wrong keys are not kept: there is no end of them.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._looking: dict[bytes, asyncio.Task[Merchant | None]] = {}
        self._lookups = asyncio.Semaphore(MOST_LOOKUPS)

    def fresh(self, key: str) -> Merchant | None:
        """Return the merchant of a key that was right within the last `KEY_SECONDS`."""
        known = self._known.get(_digest(key))
        return known.merchant if known and self._clock() < known.until else None

    def is_familiar(self, key: str) -> bool:
        """Return whether the key was right when it was last looked up."""
        return _digest(key) in self._known

    async def find(self, key: str, lookup: Lookup) -> Merchant | None:
        """Look the key up, together with everybody who does so now. Raises what `lookup` does."""
        digest = _digest(key)
        looking = self._looking.get(digest)
        if looking is None:
            looking = self._looking[digest] = asyncio.create_task(self._find(digest, key, lookup))
            looking.add_done_callback(lambda _: self._looking.pop(digest))
        # One caller that gives up must not take the answer from the others.
        return await asyncio.shield(looking)

    async def _find(self, digest: bytes, key: str, lookup: Lookup) -> Merchant | None:
        async with self._lookups:
            merchant = await lookup(key)
        if merchant is None:
            self._known.pop(digest, None)
            return None
        self._known[digest] = _Known(merchant, self._clock() + KEY_SECONDS)
        self._known.move_to_end(digest)
        while len(self._known) > MOST_KEYS:
            self._known.popitem(last=False)
        return merchant


def _digest(key: str) -> bytes:
    # As the store has it: a key may hold anything, lone surrogates too.
    return hashlib.sha256(key.encode(errors="surrogatepass")).digest()
