"""Two merchants sell in one app: neither learns what a customer bought from the other."""

import httpx

from tests.api.buyer import MONTHLY, RECIPES, Buyer
from tests.api.house import Shop


async def restore(shop: Shop, **body: object) -> httpx.Response:
    return await shop.http.post("/v1/restore", json=body)


async def test_a_bare_transaction_id_does_not_show_anothers_purchases(
    buyer: Buyer, other_shop: Shop
) -> None:
    _, bought = await buyer.bought(RECIPES)

    theirs = await restore(other_shop, transaction_id=bought["transaction_id"])
    nobodys = await restore(other_shop, transaction_id="999999999999")

    # Not even whether there is one.
    assert (theirs.status_code, theirs.json()["code"]) == (422, "transaction_unknown")
    different = {"id", "instance"}
    assert {k: v for k, v in theirs.json().items() if k not in different} == {
        k: v for k, v in nobodys.json().items() if k not in different
    }


async def test_a_signed_transaction_of_anothers_sale_is_not_shown(
    buyer: Buyer, other_shop: Shop
) -> None:
    _, bought = await buyer.bought(RECIPES)
    answer = await restore(other_shop, signed_transactions=[await buyer.signed(bought)])
    assert (answer.json()["data"], answer.json()["unclaimed"]) == ([], [])


async def test_the_history_of_a_shared_customer_is_not_shown(
    buyer: Buyer, other_shop: Shop
) -> None:
    _, theirs = await buyer.bought(RECIPES)
    # The same customer of the store buys from another merchant of the app.
    other = Buyer(other_shop, buyer.provider, buyer.customer)
    _, own = await other.bought(MONTHLY)

    answer = await restore(other_shop, transaction_id=own["transaction_id"])

    assert answer.status_code == 200, answer.text
    assert [found["product_id"] for found in answer.json()["data"]] == [MONTHLY]
    assert theirs["transaction_id"] not in answer.text
    assert RECIPES not in answer.text


async def test_an_unclaimed_purchase_is_not_shown_to_who_has_no_proof_of_it(
    buyer: Buyer, shop: Shop
) -> None:
    _, own = await buyer.bought(MONTHLY)
    other = await buyer.ask(RECIPES)
    unclaimed = await buyer.buy(other, app_account_token=None)

    by_number = await restore(shop, transaction_id=own["transaction_id"])
    by_proof = await restore(shop, signed_transactions=[await buyer.signed(unclaimed)])

    assert by_number.json()["unclaimed"] == []
    assert [found["product_id"] for found in by_proof.json()["unclaimed"]] == [RECIPES]
