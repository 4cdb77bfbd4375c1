"""Old proofs: a signed transaction says what was true when it was signed, the store what is true.

The notification of a refund may be lost, and whoever had the transaction signed before keeps it.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple
from weakref import WeakValueDictionary

from api.http.rates import Buckets
from domain.errors import ProviderError, ProviderRejected, ProviderUnavailable
from domain.purchase import Ownership, Purchase
from domain.store_change import Change, StoreChange
from providers.base import Store
from storage.entitlements import EntitlementStore

# A device signs a transaction when the app reads it. Within this time of it a refund was not
# decided, and one purchase in the usual course costs no call.
FRESH = timedelta(minutes=5)
# How long an answer stands for all who bring the same transaction, and how many are kept, some
# 2 KB each.
ANSWER_SECONDS = 60.0
MOST_ANSWERS = 5_000
# Of the 50 calls a second that Apple lets an app make (Get Transaction Info), in one process. A
# merchant may bring as many transactions at once as one restore takes, and leaves as many calls to
# the account's other merchants.
CALLS_A_SECOND, CALLS_AT_ONCE = 20.0, 100.0
MERCHANTS_CALLS_A_SECOND, MERCHANTS_CALLS_AT_ONCE = 5.0, 50.0
MOST_CALLS_IN_FLIGHT = 10
# Of the ten seconds that a client waits: one transaction, and a history of many pages.
ASK_SECONDS, HISTORY_SECONDS = 4.0, 9.0


class Account(NamedTuple):
    """An account at a store, whose calls all of its merchants share."""

    provider: str
    name: str


class StoreAnswers:
    """What stores said of transactions lately. One process's, bounded in size and in calls."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives monotonic seconds."""
        self._clock = clock
        self._calls = Buckets(CALLS_A_SECOND, CALLS_AT_ONCE)
        self._merchants_calls = Buckets(MERCHANTS_CALLS_A_SECOND, MERCHANTS_CALLS_AT_ONCE)
        # Of each merchant of an account; kept while a call uses or awaits it.
        self._in_flight: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._answers: OrderedDict[tuple[str, str, str], tuple[float, Purchase]] = OrderedDict()
        self._querying: dict[tuple[str, str, str], asyncio.Task[Purchase]] = {}

    async def query(self, store: Store, purchase: Purchase, merchant_id: str) -> Purchase:
        """Return the purchase as the store has it, at most a minute ago.

        A call counts against the share that the merchant has of the account's calls.
        Raises ProviderUnavailable where the store cannot say so now, whatever the reason: nothing
        is known of the purchase then.
        """
        key = (purchase.provider, purchase.app, purchase.transaction_id)
        queried_at, found = self._answers.get(key, (0.0, None))
        if found is not None and self._clock() - queried_at < ANSWER_SECONDS:
            return found
        querying = self._querying.get(key)
        if querying is None:
            # Copies that come together are one call: all merchants of the account share its bucket.
            querying = self._querying[key] = asyncio.create_task(
                self._query(key, store, purchase, merchant_id)
            )
            querying.add_done_callback(partial(self._forget, key))
        # One caller that gives up must not take the answer from the others.
        return await asyncio.shield(querying)

    async def _query(
        self, key: tuple[str, str, str], store: Store, purchase: Purchase, merchant_id: str
    ) -> Purchase:
        found = await self._call(store, purchase, merchant_id)
        self._answers[key] = (self._clock(), found)
        self._answers.move_to_end(key)
        while len(self._answers) > MOST_ANSWERS:
            self._answers.popitem(last=False)
        return found

    def _forget(self, key: tuple[str, str, str], query: asyncio.Task[Purchase]) -> None:
        del self._querying[key]
        if not query.cancelled():
            # Read, for nobody may be waiting any more.
            query.exception()

    async def _call(self, store: Store, purchase: Purchase, merchant_id: str) -> Purchase:
        account = Account(purchase.provider, purchase.account)
        try:
            async with self.call(account, merchant_id, ASK_SECONDS):
                found = await store.ask_purchase(purchase.transaction_id)
        except ProviderRejected as error:
            # It signed the transaction, and its servers may not know of it yet.
            raise _unavailable(account, f"it answers {error.provider_code}") from error
        if found.app != purchase.app:
            raise _unavailable(account, "it answers about another app")
        return found

    @asynccontextmanager
    async def call(self, account: Account, merchant_id: str, seconds: float) -> AsyncIterator[None]:
        """Call the store inside, within the merchant's share of the account's calls.

        Raises ProviderUnavailable where the share is used up, or the store takes too long.
        """
        own = f"{account.provider}/{account.name}/{merchant_id}"
        # The merchant's share first: a call that it is refused takes nothing of the others'.
        within = await self._merchants_calls.take(own)
        if not (within and await self._calls.take(f"{account.provider}/{account.name}")):
            raise _unavailable(account, "too many such requests at once")
        in_flight = self._in_flight.get(own)
        if in_flight is None:
            in_flight = self._in_flight[own] = asyncio.Semaphore(MOST_CALLS_IN_FLIGHT)
        try:
            async with asyncio.timeout(seconds), in_flight:
                yield
        except TimeoutError as error:
            raise _unavailable(account, "it does not answer in time") from error


class Proofs:
    """Signed transactions as the store has them now."""

    def __init__(self, answers: StoreAnswers, entitlements: EntitlementStore) -> None:
        self._answers = answers
        self._entitlements = entitlements

    async def current(self, store: Store, proven: Purchase, merchant_id: str) -> Purchase:
        """Return the purchase as it is now: of a fresh proof, what the proof says.

        Where the store is away, an old proof of what was granted already is returned as it is:
        nothing is granted by it. Any other raises a ProviderError: nothing is granted blindly.
        """
        if not is_old(proven, datetime.now(UTC)):
            return proven
        try:
            return await self._answers.query(store, proven, merchant_id)
        except ProviderError:
            if await self._grants_something(proven):
                raise
            return proven

    async def purchases_of(
        self, store: Store, account: Account, transaction_id: str, merchant_id: str
    ) -> list[Purchase]:
        """Return what the customer of a transaction has, as the store says now.

        Raises ProviderUnavailable where it cannot say so.
        """
        async with self._answers.call(account, merchant_id, HISTORY_SECONDS):
            return await store.find_purchases(transaction_id)

    async def _grants_something(self, proven: Purchase) -> bool:
        owners = await self._entitlements.owners(proven)
        known = await self._entitlements.get(proven)
        if owners.transaction is None or known is None:
            return True
        return not known.reflects(as_change(proven, ""))


def is_old(proven: Purchase, now: datetime) -> bool:
    """Whether the store may have taken the purchase back since it signed the proof."""
    return now - proven.signed_at > FRESH


def as_change(found: Purchase, raw_type: str) -> StoreChange:
    """Return the report that the store's own answer about a purchase amounts to."""
    change = Change.PURCHASED
    if found.revoked_at is not None:
        shared = found.ownership is Ownership.FAMILY_SHARED
        change = Change.REVOKED if shared else Change.REFUNDED
    return StoreChange(purchase=found, change=change, raw_type=raw_type, signed_at=found.signed_at)


def _unavailable(account: Account, why: str) -> ProviderUnavailable:
    return ProviderUnavailable(
        f"The store cannot be asked now what became of the purchase ({why}). Send the same request"
        " again in a few seconds, or signed transactions that the app has read just now.",
        provider=account.provider,
    )
