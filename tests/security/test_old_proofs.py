"""Signed transactions that are kept and brought later: what was refunded since is not granted.

Both ways in which a store's refund is reported may be lost. The proof was genuine when it was
signed, so the store is asked before an old one counts.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from api.in_app.proofs import FRESH, StoreAnswers
from domain.errors import OutcomeUnknown, ProviderError, ProviderRejected, ProviderUnavailable
from domain.purchase import Purchase
from providers.apple_iap.provider import AppleIapProvider
from providers.base import Store
from tests.api.buyer import COINS, MONTHLY, RECIPES, Buyer
from tests.api.house import House, Shop
from tests.storage.selling import purchase

Asked = list[str]


async def old_proof(buyer: Buyer, bought: dict[str, Any], **claims: Any) -> str:
    """A transaction that the store signed before anything became of it, and not lately."""
    signed_at = datetime.now(UTC) - FRESH - timedelta(minutes=1)
    moment = int(signed_at.timestamp() * 1000)
    return await buyer.signed(bought, params={"claims": {"signedDate": moment} | claims})


async def refund(buyer: Buyer, bought: dict[str, Any]) -> None:
    """The store gives the money back, and neither of its notifications arrives."""
    await buyer.act("refund", transaction_id=bought["transaction_id"], notify=False)


@pytest.fixture
def asked(house: House, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """The transactions that the store was asked about, and no answer from an earlier test."""
    seen: Asked = []
    usual = AppleIapProvider.ask_purchase

    async def ask(self: AppleIapProvider, transaction_id: str) -> Purchase:
        seen.append(transaction_id)
        return await usual(self, transaction_id)

    monkeypatch.setattr(AppleIapProvider, "ask_purchase", ask)
    return seen


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Callable[[ProviderError], None]:
    """The store answers every question with this error from now on."""

    def fail(error: ProviderError) -> None:
        async def ask(*_: object) -> Purchase:
            raise error

        monkeypatch.setattr(AppleIapProvider, "ask_purchase", ask)

    return fail


@pytest.mark.parametrize("product", [COINS, RECIPES, MONTHLY])
async def test_an_old_proof_never_grants_what_was_refunded_since(
    buyer: Buyer, shop: Shop, product: str
) -> None:
    payment = await buyer.ask(product)
    bought = await buyer.buy(payment)
    proof = await old_proof(buyer, bought)
    await refund(buyer, bought)

    answer = await buyer.verify(payment, proof)

    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert (shown["entitlement"]["status"], shown["entitlement"]["has_access"]) == (
        "refunded",
        False,
    )
    assert shown["refunded"] == payment["amount"]
    await buyer.hears(payment, "payment.succeeded", "refund.succeeded")
    assert not (await shop.read(payment))["entitlement"]["has_access"]


async def test_an_old_proof_never_keeps_access_after_a_refund_that_was_never_notified(
    buyer: Buyer,
) -> None:
    payment, bought = await buyer.bought(RECIPES)
    proof = await old_proof(buyer, bought)
    await refund(buyer, bought)

    for _ in range(2):
        answer = await buyer.verify(payment, proof)
        assert answer.status_code == 200, answer.text
        assert answer.json()["entitlement"]["status"] == "refunded"
    await buyer.hears(payment, "payment.succeeded", "entitlement.changed", "refund.succeeded")


async def test_an_old_proof_handed_in_for_another_payment_never_grants_its_own(
    buyer: Buyer, shop: Shop
) -> None:
    first, second = await buyer.ask(COINS), await buyer.ask(COINS)
    bought = await buyer.buy(first)
    proof = await old_proof(buyer, bought)
    await refund(buyer, bought)

    answer = await buyer.verify(second, proof)

    assert (answer.status_code, answer.json()["code"]) == (409, "purchase_of_another_payment")
    await buyer.hears(first, "payment.succeeded", "refund.succeeded")
    assert (await shop.read(second))["status"] == "pending"


async def test_a_restore_by_old_proofs_never_grants_what_was_refunded_since(
    buyer: Buyer, shop: Shop
) -> None:
    unpaid = await buyer.ask(COINS)
    coins = await buyer.buy(unpaid)
    paid, recipes = await buyer.bought(RECIPES)
    proofs = [await old_proof(buyer, each) for each in (coins, recipes)]
    for each in (coins, recipes):
        await refund(buyer, each)

    answer = await buyer.restore(signed_transactions=proofs)

    assert answer.status_code == 200, answer.text
    [restored] = answer.json()["data"]
    assert (restored["payment_id"], restored["status"], restored["has_access"]) == (
        paid["id"],
        "refunded",
        False,
    )
    await buyer.hears(unpaid, "payment.succeeded", "refund.succeeded")
    assert not (await shop.read(unpaid))["entitlement"]["has_access"]


async def test_a_subscription_that_ended_since_is_never_active_by_an_old_proof(
    buyer: Buyer,
) -> None:
    payment = await buyer.ask(MONTHLY)
    bought = await buyer.buy(payment)
    proof = await old_proof(buyer, bought)
    await buyer.act("expire", transaction_id=bought["transaction_id"], notify=False)

    answer = await buyer.verify(payment, proof)

    assert (answer.status_code, answer.json()["entitlement"]["status"]) == (200, "expired")


ERRORS: list[ProviderError] = [
    ProviderUnavailable("away", provider="apple_iap"),
    OutcomeUnknown("garbled", provider="apple_iap"),
    ProviderRejected("unknown", provider="apple_iap", provider_code="4040010"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_an_old_proof_is_never_granted_blindly(
    buyer: Buyer, shop: Shop, away: Callable[[ProviderError], None], error: ProviderError
) -> None:
    payment = await buyer.ask(COINS)
    proof = await old_proof(buyer, await buyer.buy(payment))
    away(error)

    answers = [
        await buyer.verify(payment, proof),
        await buyer.restore(signed_transactions=[proof]),
    ]

    for answer in answers:
        assert (answer.status_code, answer.json()["retryable"]) == (503, True), answer.text
    found = await shop.read(payment)
    assert (found["status"], found["attention"], found["entitlement"]) == ("pending", None, None)
    assert await buyer.events(payment) == []


async def test_a_store_that_never_answers_never_keeps_a_request(
    buyer: Buyer, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(*_: object) -> Purchase:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr("api.in_app.proofs.ASK_SECONDS", 0.05)
    monkeypatch.setattr(AppleIapProvider, "ask_purchase", hang)
    payment = await buyer.ask(COINS)
    proof = await old_proof(buyer, await buyer.buy(payment))

    answer = await buyer.verify(payment, proof)

    assert (answer.status_code, answer.json()["retryable"]) == (503, True)
    assert (await shop.read(payment))["status"] == "pending"


async def test_a_store_that_is_away_never_takes_what_was_granted(
    buyer: Buyer, away: Callable[[ProviderError], None]
) -> None:
    payment, bought = await buyer.bought(RECIPES)
    proof = await old_proof(buyer, bought)
    away(ERRORS[0])

    verified = await buyer.verify(payment, proof)
    restored = await buyer.restore(signed_transactions=[proof])

    assert (verified.status_code, verified.json()["entitlement"]["has_access"]) == (200, True)
    assert [each["payment_id"] for each in restored.json()["data"]] == [payment["id"]]


async def test_a_fresh_proof_never_costs_a_call_and_an_old_one_only_one_a_minute(
    buyer: Buyer, asked: Asked
) -> None:
    fresh = await buyer.ask(COINS)
    await buyer.verify(fresh, await buyer.signed(await buyer.buy(fresh)))
    assert asked == []

    payment, bought = await buyer.bought(RECIPES)
    proof = await old_proof(buyer, bought)
    for _ in range(5):
        assert (await buyer.verify(payment, proof)).status_code == 200
    await buyer.restore(signed_transactions=[proof, proof])

    assert asked == [bought["transaction_id"]]


async def test_another_merchants_old_proof_never_costs_a_call(
    buyer: Buyer, other_shop: Shop, asked: Asked
) -> None:
    theirs = await buyer.ask(COINS)
    proof = await old_proof(buyer, await buyer.buy(theirs))
    thief = Buyer(other_shop, buyer.provider, buyer.customer)
    payment = await thief.ask(COINS)

    answer = await thief.verify(payment, proof)

    assert (answer.status_code, answer.json()["code"]) == (409, "purchase_of_another_payment")
    assert theirs["id"] not in answer.text
    assert asked == []
    assert (await buyer.shop.read(theirs))["status"] == "pending"


class Says:
    """A store that answers with what it was given, and counts the questions."""

    def __init__(self, *answers: Purchase) -> None:
        self._answers = {each.transaction_id: each for each in answers}
        self.asked: Asked = []

    async def ask_purchase(self, transaction_id: str) -> Purchase:
        self.asked.append(transaction_id)
        return self._answers[transaction_id]


async def test_old_proofs_never_take_more_than_their_share_of_the_stores_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("api.in_app.proofs.CALLS_AT_ONCE", 3.0)
    many = [purchase(None) for _ in range(6)]
    store, answers = Says(*many), StoreAnswers()

    refused = 0
    for each in many:
        try:
            await answers.query(cast("Store", store), each, "shop")
        except ProviderUnavailable:
            refused += 1

    assert (len(store.asked), refused) == (3, 3)


async def test_answers_never_grow_without_a_bound_nor_outlive_their_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("api.in_app.proofs.MOST_ANSWERS", 2)
    now = [100.0]
    first, second, third = (purchase(None) for _ in range(3))
    store, answers = Says(first, second, third), StoreAnswers(lambda: now[0])

    async def calls(each: Purchase) -> int:
        before = len(store.asked)
        await answers.query(cast("Store", store), each, "shop")
        return len(store.asked) - before

    assert [await calls(each) for each in (first, second, third, third)] == [1, 1, 1, 0]
    assert await calls(first) == 1, "forgotten, for only two are kept"
    now[0] += 61
    assert await calls(first) == 1


async def test_an_answer_about_another_app_never_counts() -> None:
    proven = purchase(None)
    elsewhere = proven.model_copy(update={"app": "com.other/Production"})

    with pytest.raises(ProviderUnavailable, match="another app"):
        await StoreAnswers().query(cast("Store", Says(elsewhere)), proven, "shop")
