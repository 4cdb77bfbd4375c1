import json
from uuid import UUID

import pytest

from tests.sandbox.apple_iap.conftest import COINS, MONTHLY, RECIPES, Step
from tests.sandbox.apple_iap.shop import AppStoreShop, header_of
from tests.sandbox.rig import Rig


async def test_a_purchase_is_the_stores_signed_report(
    shop: AppStoreShop, buy: Step, token: str
) -> None:
    bought = await buy(quantity=3)
    claims = shop.verified(bought["signed_transaction"])
    assert list(header_of(bought["signed_transaction"])) == ["alg", "x5c"]
    assert claims["transactionId"] == claims["originalTransactionId"] == bought["transaction_id"]
    assert (claims["productId"], claims["type"], claims["quantity"]) == (COINS, "Consumable", 3)
    assert (claims["appAccountToken"], claims["environment"]) == (token, "Sandbox")
    assert (claims["price"], claims["currency"]) == (6000, "CNY")
    assert claims["bundleId"] == shop.app["bundle_id"]
    assert claims["inAppOwnershipType"] == "PURCHASED"
    assert "expiresDate" not in claims


async def test_the_money_is_recorded_under_our_token(rig: Rig, buy: Step, token: str) -> None:
    await buy(quantity=3)
    moves = await rig.look("ledger")
    assert [(m["reference"], m["amount"]) for m in moves] == [(UUID(token).hex, 1800)]


async def test_what_the_shop_hands_out_can_be_paid_like_any_checkout(
    rig: Rig, shop: AppStoreShop, token: str
) -> None:
    checkout = json.dumps({"productId": COINS, "appAccountToken": token.upper(), "quantity": 2})
    order = await rig.control("pay", provider="apple_iap", checkout=checkout)
    assert order["reference"] == UUID(token).hex
    claims = await shop.transaction(order["provider_reference"])
    assert (claims["appAccountToken"], claims["quantity"]) == (token, 2)
    again = {"provider": "apple_iap", "checkout": checkout}
    assert (await rig.client.post("/_sandbox/pay", json=again)).status_code == 409
    assert len(await rig.look("ledger")) == 1


async def test_one_token_may_come_with_two_purchases(rig: Rig, buy: Step, token: str) -> None:
    first, second = await buy(), await buy()
    assert first["transaction_id"] != second["transaction_id"]
    references = [order["reference"] for order in await rig.look("orders")]
    assert references == [UUID(token).hex, f"{UUID(token).hex}@{references[1][33:]}"]
    assert sum(move["amount"] for move in await rig.look("ledger")) == 1200


@pytest.mark.parametrize("product", [RECIPES, MONTHLY])
async def test_what_a_customer_owns_is_not_sold_again(rig: Rig, buy: Step, product: str) -> None:
    await buy(product, customer="ann")
    content = {"product_id": product, "customer": "ann"}
    assert (await rig.client.post("/_sandbox/apple_iap/buy", json=content)).status_code == 409
    await buy(product, customer="ben")
    assert len(await rig.look("ledger")) == 2


async def test_a_child_waits_for_its_parent(
    rig: Rig, shop: AppStoreShop, buy: Step, act: Step, token: str
) -> None:
    asked = await buy(ask_to_buy=True)
    assert (asked["signed_transaction"], asked["order"]["status"]) == (None, "ASKED")
    assert await rig.look("ledger") == []
    assert await shop.history() == []
    approved = await act("approve", reference=UUID(token).hex)
    assert shop.verified(approved["signed_transaction"])["appAccountToken"] == token


async def test_a_parent_may_say_no_and_nobody_is_notified(
    rig: Rig, shop: AppStoreShop, buy: Step, act: Step, token: str
) -> None:
    await buy(ask_to_buy=True)
    declined = await act("decline", reference=UUID(token).hex)
    assert declined["order"]["status"] == "DECLINED"
    assert (await rig.look("ledger"), await shop.history()) == ([], [])


async def test_a_family_member_has_a_transaction_without_our_token(
    shop: AppStoreShop, buy: Step, act: Step
) -> None:
    owner = await buy(RECIPES)
    member = await act("family-share", transaction_id=owner["transaction_id"])
    claims = shop.verified(member["signed_transaction"])
    assert claims["inAppOwnershipType"] == "FAMILY_SHARED"
    assert "appAccountToken" not in claims
    assert claims["transactionId"] != owner["transaction_id"]
    ended = await act("family-revoke", transaction_id=member["transaction_id"])
    assert shop.verified(ended["signed_transaction"])["revocationType"] == "FAMILY_REVOKE"
    assert "revocationDate" not in await shop.transaction(owner["transaction_id"])


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ({"product_id": "com.example.nothing"}, 404),
        ({"product_id": COINS, "quantity": 11}, 422),
        ({"product_id": RECIPES, "quantity": 2}, 422),
        ({"product_id": COINS, "app_account_token": "no uuid"}, 422),
        ({"product_id": COINS, "environment": "Xcode"}, 422),
        ({}, 404),
    ],
)
async def test_storekit_rejects_what_it_cannot_sell(
    rig: Rig, content: dict[str, object], status: int
) -> None:
    answer = await rig.client.post("/_sandbox/apple_iap/buy", json=content)
    assert answer.status_code == status
    assert await rig.look("orders") == []


@pytest.mark.parametrize("checkout", ["", "{}", "[]", "null", "{", '{"productId": "x"}'])
async def test_a_checkout_that_is_none_opens_nothing(rig: Rig, checkout: str) -> None:
    content = {"provider": "apple_iap", "checkout": checkout}
    assert (await rig.client.post("/_sandbox/pay", json=content)).status_code in (404, 422)


async def test_a_reset_forgets_purchases_and_keeps_the_address(
    rig: Rig, shop: AppStoreShop, buy: Step, listening: str
) -> None:
    await buy()
    await rig.control("reset")
    assert await shop.history() == []
    await buy(notify=True)
    assert str((await rig.receiver.wait_for(1))[0].url) == listening
