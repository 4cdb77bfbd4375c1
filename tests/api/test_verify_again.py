"""Verifying again: renewals, repeats, and what StoreKit delivers again, which it does by design."""

from typing import Any

import pytest

from domain.notification import NotificationOutcome
from tests.api.buyer import COINS, MONTHLY, RECIPES, YEARLY, Buyer
from tests.api.house import House, Shop, eventually


async def renewed(buyer: Buyer, bought: dict[str, Any]) -> dict[str, Any]:
    """The subscription's next period, of which no notification comes."""
    return await buyer.act("renew", transaction_id=bought["transaction_id"], notify=False)


async def quiet(buyer: Buyer, payment: dict[str, Any]) -> None:
    """The payment waits, and nobody has been called about it."""
    found = await buyer.shop.read(payment)
    assert (found["status"], found["attention"], found["entitlement"]) == ("pending", None, None)
    assert await buyer.events(payment) == []


async def test_a_renewal_is_in_the_answer_that_verified_it(buyer: Buyer) -> None:
    payment, bought = await buyer.bought(MONTHLY)
    following = await renewed(buyer, bought)

    answer = await buyer.verify(payment, await buyer.signed(following))

    assert answer.status_code == 200, answer.text
    entitlement = answer.json()["entitlement"]
    assert entitlement["transaction_id"] == following["transaction_id"]
    assert entitlement["has_access"]


async def test_the_first_transaction_is_answered_with_the_current_period(buyer: Buyer) -> None:
    payment, bought = await buyer.bought(MONTHLY)
    first = await buyer.signed(bought)
    following = await renewed(buyer, bought)
    await buyer.verify(payment, await buyer.signed(following))

    answer = await buyer.verify(payment, first)

    assert answer.status_code == 200, answer.text
    assert answer.json()["entitlement"]["transaction_id"] == following["transaction_id"]


async def test_the_entitlement_is_the_verified_purchases_not_the_payments_first(
    buyer: Buyer,
) -> None:
    payment, _ = await buyer.bought(COINS)
    second = await buyer.buy(payment)

    answer = await buyer.verify(payment, await buyer.signed(second))

    assert answer.status_code == 200, answer.text
    assert answer.json()["entitlement"]["transaction_id"] == second["transaction_id"]


async def test_a_refund_that_the_proof_shows_is_in_the_answer(buyer: Buyer) -> None:
    payment, bought = await buyer.bought(RECIPES)
    await buyer.act("refund", transaction_id=bought["transaction_id"], notify=False)

    answer = await buyer.verify(payment, await buyer.signed(bought))

    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert (shown["entitlement"]["status"], shown["entitlement"]["has_access"]) == (
        "refunded",
        False,
    )
    assert shown["refunded"] == payment["amount"]


async def test_a_reversed_refund_that_was_never_notified_gives_access_back(buyer: Buyer) -> None:
    payment, bought = await buyer.bought(RECIPES)
    await buyer.act("refund", transaction_id=bought["transaction_id"], notify=False)
    await buyer.verify(payment, await buyer.signed(bought))
    await buyer.act("reverse-refund", transaction_id=bought["transaction_id"], notify=False)

    answer = await buyer.verify(payment, await buyer.signed(bought))

    assert answer.status_code == 200, answer.text
    assert answer.json()["entitlement"]["has_access"]
    assert answer.json()["refunded"] == 0


async def test_a_renewal_after_an_upgrade_is_verified_by_the_payment_that_has_the_chain(
    buyer: Buyer,
) -> None:
    """A renewal carries the token that the chain began with."""
    first, bought = await buyer.bought(MONTHLY)
    second, upgraded = await upgraded_from(buyer, bought)
    following = await renewed(buyer, upgraded)
    signed = await buyer.signed(following, params={"claims": {"appAccountToken": first["id"]}})

    for payment in (second, first):
        answer = await buyer.verify(payment, signed)
        assert answer.status_code == 200, answer.text
        entitlement = answer.json()["entitlement"]
        assert (entitlement["payment_id"], entitlement["transaction_id"]) == (
            second["id"],
            following["transaction_id"],
        )
    assert (await buyer.shop.read(second))["attention"] is None


async def test_the_payment_that_lost_its_subscription_by_an_upgrade_gets_an_event(
    buyer: Buyer,
) -> None:
    first, bought = await buyer.bought(MONTHLY)
    second, _ = await upgraded_from(buyer, bought)

    [_, lost] = await buyer.hears(first, "payment.succeeded", "entitlement.changed")

    assert (lost["data"]["status"], lost["data"]["moved_to"]) == ("moved", second["id"])

    async def delivered() -> bool:
        return bool((await buyer.events(first))[1]["delivery"] != "waiting")

    await eventually(delivered)


async def upgraded_from(buyer: Buyer, bought: dict[str, Any]) -> tuple[Any, Any]:
    """Another payment, paid by the upgrade of the subscription, and the upgrade."""
    payment = await buyer.ask(YEARLY)
    upgraded = await buyer.act(
        "change-plan",
        transaction_id=bought["transaction_id"],
        product_id=YEARLY,
        notify=False,
    )
    named = {"claims": {"appAccountToken": payment["id"]}}
    answer = await buyer.verify(payment, await buyer.signed(upgraded, params=named))
    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded"), answer.text
    return answer.json(), upgraded


@pytest.mark.parametrize("token", ["old", None])
async def test_a_renewal_of_an_old_payment_extends_it_and_calls_nobody_about_a_new_one(
    buyer: Buyer, token: str | None
) -> None:
    changes = {} if token else {"app_account_token": None}
    old = await buyer.ask(MONTHLY)
    bought = await buyer.buy(old, **changes)
    assert (await buyer.verify(old, await buyer.signed(bought))).status_code == 200
    new = await buyer.ask(MONTHLY)
    following = await renewed(buyer, bought)
    signed = await buyer.signed(following)

    answer = await buyer.verify(new, signed)

    assert (answer.status_code, answer.json()["code"]) == (409, "purchase_of_another_payment")
    assert old["id"] in answer.json()["detail"]
    await quiet(buyer, new)
    answer = await buyer.verify(old, signed)
    assert answer.status_code == 200, answer.text
    assert answer.json()["entitlement"]["transaction_id"] == following["transaction_id"]


async def test_a_subscription_bought_again_without_a_token_extends_the_payment_that_claimed_it(
    buyer: Buyer,
) -> None:
    payment = await buyer.ask(MONTHLY)
    bought = await buyer.buy(payment, app_account_token=None)
    assert (await buyer.verify(payment, await buyer.signed(bought))).status_code == 200
    await buyer.act("expire", transaction_id=bought["transaction_id"], notify=False)
    again = await renewed(buyer, bought)

    answer = await buyer.verify(payment, await buyer.signed(again))

    assert answer.status_code == 200, answer.text
    entitlement = answer.json()["entitlement"]
    assert (entitlement["transaction_id"], entitlement["has_access"]) == (
        again["transaction_id"],
        True,
    )


async def test_an_unfinished_consumable_pays_its_own_payment_and_calls_nobody_about_another(
    buyer: Buyer, shop: Shop
) -> None:
    first, second = await buyer.ask(COINS), await buyer.ask(COINS)
    unfinished = await buyer.signed(await buyer.buy(first))

    for _ in range(2):
        answer = await buyer.verify(second, unfinished)
        assert (answer.status_code, answer.json()["code"]) == (409, "purchase_of_another_payment")
        assert first["id"] in answer.json()["detail"]

    await shop.reaches(first, "succeeded")
    await buyer.hears(first, "payment.succeeded")
    await quiet(buyer, second)
    own = await buyer.signed(await buyer.buy(second))
    assert (await buyer.verify(second, own)).json()["status"] == "succeeded"
    await buyer.hears(second, "payment.succeeded")


async def test_a_purchase_that_does_not_fit_its_own_payment_calls_nobody_about_another(
    buyer: Buyer,
) -> None:
    first, second = await buyer.ask(COINS), await buyer.ask(COINS)
    wrong = await buyer.signed(await buyer.buy(first, quantity=3))

    answer = await buyer.verify(second, wrong)

    assert (answer.status_code, answer.json()["code"]) == (409, "purchase_of_another_payment")
    await buyer.hears(first, "payment.attention")
    await quiet(buyer, second)


async def test_what_is_not_applied_in_time_is_202_with_what_holds_now(
    buyer: Buyer, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment, bought = await buyer.bought(MONTHLY)
    following = await renewed(buyer, bought)
    monkeypatch.setattr("api.in_app.verify.SETTLING_SECONDS", 0)

    async def taken(*_: object) -> None:
        """Temporal took the report; its workflow has not come to it."""

    with monkeypatch.context() as patched:
        patched.setattr("api.notifications.store_routing.signal_store_change", taken)
        answer = await buyer.verify(payment, await buyer.signed(following))

    assert answer.status_code == 202, answer.text
    assert answer.json()["entitlement"]["transaction_id"] == bought["transaction_id"]
    kept = await house.dependencies.stores.notifications.list_for_payment(payment["id"])
    assert kept[-1].outcome is NotificationOutcome.SIGNALLED
