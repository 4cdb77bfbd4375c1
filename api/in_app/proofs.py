"""Old proofs: a signed transaction says what was true when it was signed, the store what is true.

The notification of a refund may be lost, and whoever had the transaction signed before keeps it.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

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
# Of the 50 calls a second that Apple lets an app make (Get Transaction Info), in one process. The
# burst is one restore of as many transactions as a request takes.
CALLS_A_SECOND, CALLS_AT_ONCE = 10.0, 50.0
MOST_CALLS_IN_FLIGHT = 10
# Of the ten seconds that a client waits.
ASK_SECONDS = 4.0


class StoreAnswers:
    """What stores said of transactions lately. One process's, bounded in size and in calls."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives monotonic seconds."""
        self._clock = clock
        self._calls = Buckets(CALLS_A_SECOND, CALLS_AT_ONCE)
        self._in_flight = asyncio.Semaphore(MOST_CALLS_IN_FLIGHT)
        self._answers: OrderedDict[tuple[str, str, str], tuple[float, Purchase]] = OrderedDict()

    async def query(self, store: Store, purchase: Purchase) -> Purchase:
        """Return the purchase as the store has it, at most a minute ago.

        Raises ProviderUnavailable where the store cannot say so now, whatever the reason: nothing
        is known of the purchase then.
        """
        key = (purchase.provider, purchase.app, purchase.transaction_id)
        queried_at, found = self._answers.get(key, (0.0, None))
        if found is not None and self._clock() - queried_at < ANSWER_SECONDS:
            return found
        found = await self._call(store, purchase)
        self._answers[key] = (self._clock(), found)
        self._answers.move_to_end(key)
        while len(self._answers) > MOST_ANSWERS:
            self._answers.popitem(last=False)
        return found

    async def _call(self, store: Store, purchase: Purchase) -> Purchase:
        if not await self._calls.take(f"{purchase.provider}/{purchase.account}"):
            raise _unavailable(purchase, "too many old transactions at once")
        try:
            async with asyncio.timeout(ASK_SECONDS), self._in_flight:
                found = await store.ask_purchase(purchase.transaction_id)
        except TimeoutError as error:
            raise _unavailable(purchase, "it does not answer in time") from error
        except ProviderRejected as error:
            # It signed the transaction, and its servers may not know of it yet.
            raise _unavailable(purchase, f"it answers {error.provider_code}") from error
        if found.app != purchase.app:
            raise _unavailable(purchase, "it answers about another app")
        return found


class Proofs:
    """Signed transactions as the store has them now."""

    def __init__(self, answers: StoreAnswers, entitlements: EntitlementStore) -> None:
        self._answers = answers
        self._entitlements = entitlements

    async def current(self, store: Store, proven: Purchase) -> Purchase:
        """Return the purchase as it is now: of a fresh proof, what the proof says.

        Where the store is away, an old proof of what was granted already is returned as it is:
        nothing is granted by it. Any other raises a ProviderError: nothing is granted blindly.
        """
        if not is_old(proven, datetime.now(UTC)):
            return proven
        try:
            return await self._answers.query(store, proven)
        except ProviderError:
            if await self._grants_something(proven):
                raise
            return proven

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


def _unavailable(purchase: Purchase, why: str) -> ProviderUnavailable:
    return ProviderUnavailable(
        "The signed transaction is old, and the store cannot be asked now whether it still holds"
        f" ({why}). Send the same request again in a few seconds, or a transaction that the app"
        " has read just now.",
        provider=purchase.provider,
    )
