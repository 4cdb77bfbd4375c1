"""Copies of one old proof never use up the calls that all merchants of a store's account share."""

import asyncio
from typing import cast

import pytest

from api.in_app.proofs import StoreAnswers
from domain.errors import ProviderUnavailable
from domain.purchase import Purchase
from providers.base import Store
from tests.storage.selling import purchase

# As many as a restore may bring.
COPIES = 50


class Answers:
    """A store that answers about any purchase it was given, or is away; it counts the calls."""

    def __init__(self, *known: Purchase) -> None:
        self._known = {each.transaction_id: each for each in known}
        self.calls = 0

    async def ask_purchase(self, transaction_id: str) -> Purchase:
        self.calls += 1
        await asyncio.sleep(0)
        if transaction_id not in self._known:
            raise ProviderUnavailable("away", provider="apple_iap")
        return self._known[transaction_id]


async def test_copies_in_one_restore_never_take_another_merchants_calls() -> None:
    own, others = purchase(None), purchase(None)
    store, answers = Answers(own, others), StoreAnswers()

    found = await asyncio.gather(*(answers.query(cast("Store", store), own) for _ in range(COPIES)))

    assert (store.calls, found) == (1, [own] * COPIES)
    assert await answers.query(cast("Store", store), others) == others


async def test_copies_about_which_the_store_says_nothing_cost_one_call() -> None:
    own, others = purchase(None), purchase(None)
    store, answers = Answers(others), StoreAnswers()

    copies = (answers.query(cast("Store", store), own) for _ in range(COPIES))
    found = await asyncio.gather(*copies, return_exceptions=True)

    assert store.calls == 1
    assert all(isinstance(each, ProviderUnavailable) for each in found)
    assert await answers.query(cast("Store", store), others) == others


async def test_a_caller_that_gives_up_never_takes_the_answer_from_others() -> None:
    own = purchase(None)
    store, answers = Answers(own), StoreAnswers()
    first = asyncio.create_task(answers.query(cast("Store", store), own))
    second = asyncio.create_task(answers.query(cast("Store", store), own))
    await asyncio.sleep(0)

    first.cancel()

    assert await second == own
    with pytest.raises(asyncio.CancelledError):
        await first
    assert store.calls == 1
