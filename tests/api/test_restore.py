"""Another device, the same buyer: what was bought is given back, and consumables never twice."""

import pytest

from tests.api.buyer import COINS, MONTHLY, RECIPES, Buyer
from tests.api.house import Shop


async def test_what_was_bought_is_restored_by_the_transactions_that_the_app_holds(
    buyer: Buyer,
) -> None:
    recipes, first = await buyer.bought(RECIPES)
    season, second = await buyer.bought(MONTHLY)
    _, coins = await buyer.bought(COINS)
    signed = [await buyer.signed(each) for each in (first, second, coins)]
    for _ in range(2):
        answer = await buyer.restore(signed_transactions=signed)
        assert answer.status_code == 200, answer.text
        restored = answer.json()
        assert [each["payment_id"] for each in restored["data"]] == [recipes["id"], season["id"]]
        assert all(each["has_access"] for each in restored["data"])
        assert restored["unclaimed"] == []
    for payment in (recipes, season):
        await buyer.hears(payment, "payment.succeeded")


async def test_one_transaction_number_restores_all_that_the_customer_bought(buyer: Buyer) -> None:
    recipes, first = await buyer.bought(RECIPES)
    season, _ = await buyer.bought(MONTHLY)
    answer = await buyer.restore(transaction_id=first["transaction_id"], provider="apple_iap")
    assert {each["payment_id"] for each in answer.json()["data"]} == {recipes["id"], season["id"]}


async def test_a_refunded_purchase_is_restored_as_what_it_is(buyer: Buyer, shop: Shop) -> None:
    payment, bought = await buyer.bought(RECIPES)
    await buyer.act("refund", transaction_id=bought["transaction_id"], notify=False)
    answer = await buyer.restore(transaction_id=bought["transaction_id"])
    [found] = answer.json()["data"]
    assert (found["status"], found["has_access"]) == ("refunded", False)
    # The notification was lost: restoring has found the refund.
    await buyer.hears(payment, "payment.succeeded", "entitlement.changed", "refund.succeeded")


async def test_a_renewal_that_nobody_notified_of_is_found(buyer: Buyer, shop: Shop) -> None:
    payment, bought = await buyer.bought(MONTHLY)
    renewed = await buyer.act("renew", transaction_id=bought["transaction_id"], notify=False)
    answer = await buyer.restore(signed_transactions=[await buyer.signed(renewed)])
    [found] = answer.json()["data"]
    assert found["transaction_id"] == renewed["transaction_id"]
    await buyer.hears(payment, "payment.succeeded", "entitlement.changed")
    # An older proof does not turn the clock back.
    answer = await buyer.restore(signed_transactions=[await buyer.signed(bought)])
    [found] = answer.json()["data"]
    assert found["transaction_id"] == renewed["transaction_id"]


async def test_a_consumable_that_was_paid_for_and_never_granted_is_granted_once(
    buyer: Buyer, shop: Shop
) -> None:
    payment = await buyer.ask(COINS)
    bought = await buyer.buy(payment)
    for _ in range(3):
        answer = await buyer.restore(signed_transactions=[await buyer.signed(bought)])
        assert (answer.status_code, answer.json()["data"]) == (200, []), answer.text
    await shop.reaches(payment, "succeeded")
    await buyer.hears(payment, "payment.succeeded")


async def test_what_nobody_has_claimed_is_named(buyer: Buyer) -> None:
    payment = await buyer.ask(RECIPES)
    bought = await buyer.buy(payment, app_account_token=None)
    answer = await buyer.restore(signed_transactions=[await buyer.signed(bought)])
    assert answer.json()["data"] == []
    [found] = answer.json()["unclaimed"]
    assert (found["transaction_id"], found["product_id"]) == (bought["transaction_id"], RECIPES)


async def test_what_a_family_shares_is_named_as_such(buyer: Buyer) -> None:
    _, bought = await buyer.bought(RECIPES)
    shared = await buyer.act("family-share", transaction_id=bought["transaction_id"], notify=False)
    answer = await buyer.restore(signed_transactions=[await buyer.signed(shared)])
    assert [each["ownership"] for each in answer.json()["unclaimed"]] == ["family_shared"]


async def test_a_consumable_is_granted_by_the_history_of_another_purchase(
    buyer: Buyer, shop: Shop
) -> None:
    _, recipes = await buyer.bought(RECIPES)
    payment = await buyer.ask(COINS)
    await buyer.buy(payment)
    answer = await buyer.restore(transaction_id=recipes["transaction_id"])
    assert [each["product_id"] for each in answer.json()["data"]] == [RECIPES]
    await shop.reaches(payment, "succeeded")


async def test_anothers_purchases_are_not_shown(buyer: Buyer, other_shop: Shop) -> None:
    _, bought = await buyer.bought(RECIPES)
    answer = await other_shop.http.post(
        "/v1/restore", json={"signed_transactions": [await buyer.signed(bought)]}
    )
    assert (answer.json()["data"], answer.json()["unclaimed"]) == ([], [])


async def test_a_purchase_that_does_not_fit_its_payment_is_not_restored(
    buyer: Buyer, shop: Shop
) -> None:
    payment = await buyer.ask(COINS)
    bought = await buyer.buy(payment, product_id=RECIPES)
    answer = await buyer.restore(signed_transactions=[await buyer.signed(bought)])
    assert (answer.json()["data"], len(answer.json()["unclaimed"])) == ([], 1)
    await buyer.hears(payment, "payment.attention")


async def test_a_forged_transaction_restores_nothing(buyer: Buyer) -> None:
    _, bought = await buyer.bought(RECIPES)
    signed = [await buyer.signed(bought), await buyer.signed(bought, flaw="bad_signature")]
    answer = await buyer.restore(signed_transactions=signed)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_signature")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "signed_transactions"),
        ({"signed_transactions": ["a.b.c"], "transaction_id": "1"}, "signed_transactions"),
        ({"provider": "alipay", "transaction_id": "1"}, "provider"),
        ({"account": "nobody", "transaction_id": "1"}, "provider"),
    ],
)
async def test_what_cannot_be_restored_is_named(
    buyer: Buyer, body: dict[str, object], param: str
) -> None:
    answer = await buyer.restore(**body)
    assert (answer.status_code, answer.json()["param"]) == (422, param)


async def test_a_number_that_is_none_of_the_merchants_sales_restores_nothing(buyer: Buyer) -> None:
    answer = await buyer.restore(transaction_id="999999999999")
    assert (answer.status_code, answer.json()["code"]) == (422, "transaction_unknown")


@pytest.mark.parametrize("kind", ["rate_limited", "server_error", "garbled", "unauthorized"])
async def test_a_store_that_does_not_answer_is_to_be_queried_again(buyer: Buyer, kind: str) -> None:
    _, bought = await buyer.bought(RECIPES)
    fault = {"provider": "apple_iap", "operation": "query", "kind": kind, "params": {}}
    await buyer.provider.control.post("/_sandbox/faults", json=fault)
    answer = await buyer.restore(transaction_id=bought["transaction_id"])
    assert (answer.status_code, answer.json()["retryable"]) == (503, True), answer.text
    answer = await buyer.restore(transaction_id=bought["transaction_id"])
    assert (answer.status_code, len(answer.json()["data"])) == (200, 1), answer.text


async def test_an_app_may_bring_all_that_it_holds(buyer: Buyer) -> None:
    _, bought = await buyer.bought(RECIPES)
    signed = [await buyer.signed(bought)] * 50
    assert sum(map(len, signed)) > 64 * 1024
    answer = await buyer.restore(signed_transactions=signed)
    assert (answer.status_code, len(answer.json()["data"])) == (200, 1), answer.text
