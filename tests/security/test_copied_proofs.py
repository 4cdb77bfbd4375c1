"""Old proofs of one merchant never use up the calls to a store that all of an account share."""

import asyncio
from typing import cast

import pytest

from api.in_app.proofs import CALLS_AT_ONCE, Account, Proofs, StoreAnswers
from domain.errors import ProviderUnavailable
from domain.purchase import Purchase
from providers.base import Store
from storage.entitlements import EntitlementStore
from tests.storage.selling import purchase

# As many as a restore may bring.
COPIES = 50


class Answers:
    """A store that answers about any purchase it was given, or is away; it counts the calls."""

    def __init__(self, *known: Purchase) -> None:
        self._known = {each.transaction_id: each for each in known}
        self.hanging: set[str] = set()
        self.calls = 0

    async def ask_purchase(self, transaction_id: str) -> Purchase:
        self.calls += 1
        await asyncio.sleep(0)
        if transaction_id in self.hanging:
            await asyncio.Event().wait()
        if transaction_id not in self._known:
            raise ProviderUnavailable("away", provider="apple_iap")
        return self._known[transaction_id]

    async def find_purchases(self, transaction_id: str) -> list[Purchase]:
        return [await self.ask_purchase(transaction_id)]


async def test_copies_in_one_restore_never_take_another_merchants_calls() -> None:
    own, others = purchase(None), purchase(None)
    store, answers = Answers(own, others), StoreAnswers()

    found = await asyncio.gather(
        *(answers.query(cast("Store", store), own, "attacker") for _ in range(COPIES))
    )

    assert (store.calls, found) == (1, [own] * COPIES)
    assert await answers.query(cast("Store", store), others, "other") == others


async def test_copies_about_which_the_store_says_nothing_cost_one_call() -> None:
    own, others = purchase(None), purchase(None)
    store, answers = Answers(others), StoreAnswers()

    copies = (answers.query(cast("Store", store), own, "attacker") for _ in range(COPIES))
    found = await asyncio.gather(*copies, return_exceptions=True)

    assert store.calls == 1
    assert all(isinstance(each, ProviderUnavailable) for each in found)
    assert await answers.query(cast("Store", store), others, "other") == others


async def test_different_old_proofs_of_one_merchant_never_take_anothers_calls() -> None:
    own, others = [purchase(None) for _ in range(300)], purchase(None)
    store, answers = Answers(*own, others), StoreAnswers()

    queries = (answers.query(cast("Store", store), each, "attacker") for each in own)
    found = await asyncio.gather(*queries, return_exceptions=True)

    assert store.calls < CALLS_AT_ONCE
    assert sum(isinstance(each, ProviderUnavailable) for each in found) == len(own) - store.calls
    assert await answers.query(cast("Store", store), others, "other") == others


async def test_a_store_that_hangs_for_one_merchant_never_delays_another() -> None:
    own, others = [purchase(None) for _ in range(COPIES)], purchase(None)
    store, answers = Answers(*own, others), StoreAnswers()
    store.hanging = {each.transaction_id for each in own}
    queries = [
        asyncio.create_task(answers.query(cast("Store", store), each, "attacker")) for each in own
    ]
    await asyncio.sleep(0)

    async with asyncio.timeout(3):
        assert await answers.query(cast("Store", store), others, "other") == others

    for each in queries:
        each.cancel()
    await asyncio.gather(*queries, return_exceptions=True)


async def test_histories_read_by_one_merchant_never_take_anothers_calls() -> None:
    known = purchase(None)
    store, answers = Answers(known), StoreAnswers()
    proofs = Proofs(answers, cast("EntitlementStore", None))
    account = Account(known.provider, known.account)

    reads = (
        proofs.purchases_of(cast("Store", store), account, known.transaction_id, "attacker")
        for _ in range(300)
    )
    await asyncio.gather(*reads, return_exceptions=True)

    assert store.calls < CALLS_AT_ONCE
    assert await answers.query(cast("Store", store), known, "other") == known


async def test_a_caller_that_gives_up_never_takes_the_answer_from_others() -> None:
    own = purchase(None)
    store, answers = Answers(own), StoreAnswers()
    first = asyncio.create_task(answers.query(cast("Store", store), own, "attacker"))
    second = asyncio.create_task(answers.query(cast("Store", store), own, "attacker"))
    await asyncio.sleep(0)

    first.cancel()

    assert await second == own
    with pytest.raises(asyncio.CancelledError):
        await first
    assert store.calls == 1
