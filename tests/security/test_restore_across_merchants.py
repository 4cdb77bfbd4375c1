"""Merchants that share one app in the App Store, and what each may learn of the others' customers.

Transaction ids stand in e-mails, invoices and support tickets; whoever has one has no right yet to
what else the customer bought. A signed transaction comes from the customer's own device.
"""

from typing import Any

from tests.api.buyer import COINS, MONTHLY, RECIPES, SEASON, Buyer
from tests.api.house import Shop

NOTHING: dict[str, list[Any]] = {"data": [], "unclaimed": []}


def lists(answer: dict[str, Any]) -> dict[str, list[Any]]:
    return {name: answer[name] for name in NOTHING}


def at_another_merchant(buyer: Buyer, shop: Shop) -> Buyer:
    """The same customer with another merchant's app."""
    return Buyer(shop, buyer.provider, buyer.customer)


async def test_a_transaction_id_never_shows_what_another_merchant_sold(
    buyer: Buyer, other_shop: Shop
) -> None:
    _, bought = await buyer.bought(RECIPES)
    thief = at_another_merchant(buyer, other_shop)

    answer = await thief.restore(transaction_id=bought["transaction_id"])

    assert (answer.status_code, answer.json()["code"]) == (422, "transaction_unknown")
    assert RECIPES not in answer.text


async def test_a_transaction_id_never_shows_whether_it_exists(
    buyer: Buyer, other_shop: Shop
) -> None:
    _, of_another = await buyer.bought(RECIPES)
    of_nobody = await buyer.buy(await buyer.ask(COINS), app_account_token=None)
    thief = at_another_merchant(buyer, other_shop)

    answers = [
        await thief.restore(transaction_id=number)
        for number in (of_another["transaction_id"], of_nobody["transaction_id"], "999999999999")
    ]

    assert {answer.status_code for answer in answers} == {422}
    for answer in answers:
        shown = answer.json()
        assert (shown["code"], shown["param"]) == ("transaction_unknown", "transaction_id")
    first, *others = [
        {name: value for name, value in answer.json().items() if name != "request_id"}
        for answer in answers
    ]
    assert all(other == first for other in others)


async def test_a_signed_transaction_never_shows_what_another_merchant_sold(
    buyer: Buyer, other_shop: Shop
) -> None:
    _, granted = await buyer.bought(RECIPES)
    only_named = await buyer.buy(await buyer.ask(MONTHLY))
    thief = at_another_merchant(buyer, other_shop)

    answer = await thief.restore(
        signed_transactions=[await buyer.signed(granted), await buyer.signed(only_named)]
    )

    assert (answer.status_code, lists(answer.json())) == (200, NOTHING), answer.text


async def test_an_own_transaction_id_never_shows_the_customers_purchases_elsewhere(
    buyer: Buyer, other_shop: Shop
) -> None:
    await buyer.bought(RECIPES)
    await buyer.buy(await buyer.ask(COINS), app_account_token=None)
    other = at_another_merchant(buyer, other_shop)
    season, own = await other.bought(SEASON)

    answer = await other.restore(transaction_id=own["transaction_id"])

    assert answer.status_code == 200, answer.text
    assert [each["payment_id"] for each in answer.json()["data"]] == [season["id"]]
    assert answer.json()["unclaimed"] == []


async def test_an_unclaimed_purchase_is_never_shown_without_a_proof_of_it(buyer: Buyer) -> None:
    _, own = await buyer.bought(MONTHLY)
    unclaimed = await buyer.buy(await buyer.ask(RECIPES), app_account_token=None)

    by_id = await buyer.restore(transaction_id=own["transaction_id"])
    by_proof = await buyer.restore(signed_transactions=[await buyer.signed(unclaimed)])

    assert by_id.json()["unclaimed"] == []
    assert [each["product_id"] for each in by_proof.json()["unclaimed"]] == [RECIPES]


async def test_a_restore_never_grants_another_merchants_unpaid_payment(
    buyer: Buyer, shop: Shop, other_shop: Shop
) -> None:
    payment = await buyer.ask(COINS)
    bought = await buyer.buy(payment)
    thief = at_another_merchant(buyer, other_shop)

    await thief.restore(signed_transactions=[await buyer.signed(bought)])
    await thief.restore(transaction_id=bought["transaction_id"])

    assert (await shop.read(payment))["status"] == "pending"
    assert await buyer.events(payment) == []


async def test_a_subscription_continued_at_another_merchant_is_never_shown_to_the_first(
    buyer: Buyer, shop: Shop, other_shop: Shop
) -> None:
    first, bought, second = await moved_on(buyer, other_shop)

    by_id = await buyer.restore(transaction_id=bought["transaction_id"])
    by_proof = await buyer.restore(signed_transactions=[await buyer.signed(bought)])

    for answer in (by_id, by_proof):
        assert answer.status_code == 200, answer.text
        for secret in (second["id"], second["provider_reference"]):
            assert secret not in answer.text
    assert (await shop.read(first))["entitlement"] is None


async def test_an_event_never_shows_a_subscription_continued_at_another_merchant(
    buyer: Buyer, shop: Shop, other_shop: Shop
) -> None:
    first, bought, second = await moved_on(buyer, other_shop)

    await buyer.act("refund", transaction_id=bought["transaction_id"])

    told = await buyer.hears(
        first,
        "payment.succeeded",
        "entitlement.changed",
        "entitlement.changed",
        "refund.succeeded",
    )
    moved, changed = told[1]["data"], told[2]["data"]
    assert (moved["status"], moved["has_access"], moved["moved_to"]) == ("moved", False, None)
    for secret in (second["id"], second["provider_reference"], other_shop.merchant.id):
        assert secret not in str(told)
    assert (changed["payment_id"], changed["transaction_id"]) == (
        first["id"],
        bought["transaction_id"],
    )
    assert (changed["status"], changed["has_access"]) == ("refunded", False)
    # What the customer has at the other merchant is not touched by it.
    assert (await other_shop.read(second))["entitlement"]["has_access"]


async def test_a_purchase_without_a_token_never_takes_over_another_merchants_subscription(
    buyer: Buyer, shop: Shop, other_shop: Shop
) -> None:
    first, bought = await buyer.bought(MONTHLY)
    again = await bought_again(buyer, bought)
    thief = at_another_merchant(buyer, other_shop)
    payment = await thief.ask(MONTHLY)

    answer = await thief.verify(payment, await thief.signed(again, flaw="missing_token"))

    assert (answer.status_code, answer.json()["code"]) == (409, "purchase_claimed")
    assert (await other_shop.read(payment))["status"] == "pending"
    assert (await shop.read(first))["entitlement"]["payment_id"] == first["id"]


async def bought_again(buyer: Buyer, bought: Any) -> Any:
    """The next period of a subscription that had ended; nobody was notified of either."""
    await buyer.act("expire", transaction_id=bought["transaction_id"], notify=False)
    again = await buyer.act("renew", transaction_id=bought["transaction_id"], notify=False)
    assert again["original_transaction_id"] == bought["transaction_id"]
    return again


async def moved_on(buyer: Buyer, other_shop: Shop) -> tuple[Any, Any, Any]:
    """A subscription of one merchant that ended and was bought again at another one."""
    first, bought = await buyer.bought(MONTHLY)
    again = await bought_again(buyer, bought)
    other = at_another_merchant(buyer, other_shop)
    second = await other.ask(MONTHLY)
    named = {"claims": {"appAccountToken": second["id"]}}
    answer = await other.verify(second, await other.signed(again, params=named))
    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded"), answer.text
    assert answer.json()["entitlement"]["has_access"]
    return first, bought, answer.json()
