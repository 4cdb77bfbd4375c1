"""Whose a purchase is: the payment's that it names, or the first that claims it."""

import asyncio

from tests.api.buyer import COINS, RECIPES, Buyer
from tests.api.house import Shop


async def test_a_purchase_of_another_merchants_payment_is_rejected_with_attention(
    buyer: Buyer, shop: Shop, other_shop: Shop
) -> None:
    theirs = Buyer(other_shop, buyer.provider, buyer.customer)
    mine, others = await buyer.ask(), await theirs.ask()
    signed = await buyer.signed(await theirs.buy(others))
    answer = await buyer.verify(mine, signed)
    assert (answer.status_code, answer.json()["code"]) == (409, "purchase_of_another_payment")
    assert others["id"] not in answer.text
    [event] = await buyer.hears(mine, "payment.attention")
    assert event["data"]["attention"] == "reference_mismatch"
    # Both go on: the one is paid by its own purchase, the other waits for one.
    assert (await other_shop.read(others))["status"] == "pending"
    assert (await theirs.verify(others, signed)).json()["status"] == "succeeded"
    assert (await shop.read(mine))["status"] == "pending"
    own = await buyer.signed(await buyer.buy(mine))
    assert (await buyer.verify(mine, own)).json()["status"] == "succeeded"
    late = await theirs.verify(others, own)
    assert (late.status_code, late.json()["code"]) == (409, "purchase_of_another_payment")


async def test_a_purchase_without_a_token_belongs_to_the_first_claim(
    buyer: Buyer, shop: Shop
) -> None:
    first, second = await buyer.ask(), await buyer.ask()
    signed = await buyer.signed(await buyer.buy(first, app_account_token=None))
    assert (await buyer.verify(first, signed)).json()["status"] == "succeeded"
    assert (await buyer.verify(first, signed)).json()["status"] == "succeeded"
    refused = await buyer.verify(second, signed)
    assert (refused.status_code, refused.json()["code"]) == (409, "purchase_claimed")
    assert (await shop.read(second))["status"] == "pending"
    another = await buyer.signed(await buyer.buy(first, app_account_token=None))
    refused = await buyer.verify(first, another)
    assert (refused.status_code, refused.json()["code"]) == (409, "purchase_differs")


async def test_two_claims_at_once_are_one_grant(buyer: Buyer) -> None:
    payments = [await buyer.ask() for _ in range(4)]
    signed = await buyer.signed(await buyer.buy(payments[0], app_account_token=None))
    answers = await asyncio.gather(*(buyer.verify(each, signed) for each in payments))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]


async def test_a_claim_must_fit_the_payment(buyer: Buyer) -> None:
    payment = await buyer.ask(RECIPES)
    other = await buyer.buy(payment, product_id=COINS, app_account_token=None)
    answer = await buyer.verify(payment, await buyer.signed(other))
    assert (answer.status_code, answer.json()["code"]) == (409, "purchase_differs")


async def test_a_claim_queries_the_store_whether_the_money_is_still_there(
    buyer: Buyer, shop: Shop
) -> None:
    payment = await buyer.ask()
    bought = await buyer.buy(payment, app_account_token=None)
    signed = await buyer.signed(bought)
    await buyer.act("refund", transaction_id=bought["transaction_id"], notify=False)
    assert (await buyer.verify(payment, signed)).status_code == 200
    await buyer.hears(payment, "payment.succeeded", "refund.succeeded")
    found = await shop.read(payment)
    assert (found["refunded"], found["entitlement"]["status"]) == (payment["amount"], "refunded")


async def test_a_payment_of_another_merchant_cannot_be_verified(
    buyer: Buyer, other_shop: Shop
) -> None:
    payment = await buyer.ask()
    answer = await other_shop.http.post(
        f"/v1/payments/{payment['id']}/verify", json={"signed_transaction": "a.b.c"}
    )
    assert answer.status_code == 404


async def test_what_became_of_a_purchase_is_notified_to_the_store_with_consent_only(
    buyer: Buyer, shop: Shop
) -> None:
    payment, bought = await buyer.bought()
    await buyer.act("request-refund", transaction_id=bought["transaction_id"])
    place = f"/v1/payments/{payment['id']}/consumption"
    for body in ({}, {"customer_consented": False}):
        refused = await shop.http.post(place, json=body)
        assert (refused.status_code, refused.json()["param"]) == (422, "customer_consented")
    told = {
        "customer_consented": True,
        "consumed": 50_000,
        "refund_preference": "decline",
        "transaction_id": bought["transaction_id"],
    }
    answer = await shop.http.post(place, json=told)
    assert (answer.status_code, answer.json()["id"]) == (200, payment["id"]), answer.text


async def test_only_what_the_payment_bought_can_have_been_consumed(
    buyer: Buyer, shop: Shop
) -> None:
    waiting, (paid, _) = await buyer.ask(), await buyer.bought()
    for payment, body in ((waiting, {}), (paid, {"transaction_id": "999"})):
        answer = await shop.http.post(
            f"/v1/payments/{payment['id']}/consumption", json={"customer_consented": True} | body
        )
        assert (answer.status_code, answer.json()["param"]) == (422, "transaction_id")
