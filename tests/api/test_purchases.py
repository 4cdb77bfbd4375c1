"""What an app buys of a store: asked for by product, proved by the store's own signature."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from api.workflow_calls import NoAnswerYet
from tests.api.buyer import COINS, MONTHLY, RECIPES, Buyer, iap_order
from tests.api.house import House, Shop, order


async def test_the_catalogue_is_what_the_configuration_says(shop: Shop, house: House) -> None:
    answer = await shop.http.get("/v1/products")
    products = answer.json()["data"]
    assert [found["id"] for found in products] == [
        product.id for product in house.dependencies.catalogue.all()
    ]
    assert set(products[0]) == {"id", "type", "title", "grants", "amount", "currency"}


async def test_a_product_is_sold_at_the_catalogues_price_and_named_by_our_id(
    buyer: Buyer, house: House
) -> None:
    made = await buyer.ask(COINS, quantity=3)
    product = house.dependencies.catalogue.get(COINS)
    assert made["amount"] == product.amount * 3
    assert (made["subject"], made["product_id"], made["quantity"]) == (product.title, COINS, 3)
    assert made["checkout"]["kind"] == "sdk"
    assert made["checkout"]["parameters"] == {
        "productId": COINS,
        "appAccountToken": made["id"],
        "quantity": "3",
    }


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"product": "com.paysaga.nothing"}, "product"),
        ({"product": None}, "product"),
        ({"amount": 1}, "amount"),
        ({"currency": "USD"}, "currency"),
        ({"product": MONTHLY, "quantity": 2}, "quantity"),
        ({"quantity": 11}, "quantity"),
        ({"expires_in": 60}, "expires_in"),
    ],
)
async def test_what_a_store_cannot_sell_is_named(
    shop: Shop, changes: dict[str, Any], param: str
) -> None:
    answer = await shop.create(iap_order(**changes))
    assert (answer.status_code, answer.json()["param"]) == (422, param), answer.text


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"product": COINS}, "product"),
        ({"quantity": 2}, "quantity"),
        ({"amount": None}, "amount"),
        ({"subject": None}, "subject"),
    ],
)
async def test_who_sells_nothing_by_itself_takes_an_amount(
    shop: Shop, changes: dict[str, Any], param: str
) -> None:
    answer = await shop.create(order(**changes))
    assert (answer.status_code, answer.json()["param"]) == (422, param), answer.text


async def test_a_genuine_purchase_pays_and_entitles_however_often_it_is_brought(
    buyer: Buyer, shop: Shop
) -> None:
    payment = await buyer.ask(RECIPES)
    bought = await buyer.buy(payment)
    signed = await buyer.signed(bought)
    answers = [await buyer.verify(payment, signed) for _ in range(3)]
    answers.append(await buyer.verify(payment, await buyer.signed(bought)))
    for answer in answers:
        paid = answer.json()
        assert (answer.status_code, paid["status"]) == (200, "succeeded"), answer.text
        assert paid["provider_reference"] == bought["transaction_id"]
        assert paid["captured"] == payment["amount"]
        assert paid["entitlement"]["status"] == "active"
        assert paid["entitlement"]["has_access"]
    assert (await shop.read(payment))["entitlement"] == answers[0].json()["entitlement"]
    await buyer.hears(payment, "payment.succeeded")


async def test_a_purchase_brought_by_many_at_once_is_granted_once(
    buyer: Buyer, house: House
) -> None:
    payment = await buyer.ask()
    signed = await buyer.signed(await buyer.buy(payment))
    answers = await asyncio.gather(*(buyer.verify(payment, signed) for _ in range(6)))
    assert {answer.status_code for answer in answers} == {200}
    await buyer.hears(payment, "payment.succeeded")


async def test_a_purchase_that_temporal_did_not_take_in_time_may_be_brought_again(
    buyer: Buyer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(*_: object) -> None:
        raise NoAnswerYet

    payment = await buyer.ask()
    signed = await buyer.signed(await buyer.buy(payment))
    with monkeypatch.context() as patched:
        patched.setattr("api.notifications.routing.signal_payment", silent)
        answer = await buyer.verify(payment, signed)
    assert (answer.status_code, answer.json()["code"]) == (503, "temporal_unavailable")
    assert (await buyer.verify(payment, signed)).status_code == 200


@pytest.mark.parametrize(
    "flaw",
    [
        "unsigned",
        "alg_hs256",
        "bad_signature",
        "foreign_key",
        "foreign_ca",
        "leaf_without_oid",
        "intermediate_without_oid",
        "two_certificates",
        "foreign_app",
    ],
)
async def test_what_the_store_did_not_sign_for_us_pays_nothing(
    buyer: Buyer, shop: Shop, flaw: str
) -> None:
    payment = await buyer.ask()
    bought = await buyer.buy(payment)
    answer = await buyer.verify(payment, await buyer.signed(bought, flaw=flaw))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_signature")
    found = await shop.read(payment)
    assert (found["status"], found["attention"], found["entitlement"]) == ("pending", None, None)


@pytest.mark.parametrize("environment", ["Xcode", "LocalTesting", "Production"])
async def test_a_purchase_of_an_environment_that_is_not_ours_pays_nothing(
    buyer: Buyer, environment: str
) -> None:
    payment = await buyer.ask()
    bought = await buyer.buy(payment)
    signed = await buyer.signed(
        bought, flaw="wrong_environment", params={"environment": environment}
    )
    answer = await buyer.verify(payment, signed)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_signature")


async def test_another_product_or_number_than_asked_for_waits_for_a_person(
    buyer: Buyer, shop: Shop
) -> None:
    payment = await buyer.ask(COINS)
    bought = await buyer.buy(payment, quantity=3)
    answer = await buyer.verify(payment, await buyer.signed(bought))
    assert (answer.status_code, answer.json()["code"]) == (409, "purchase_differs")
    found = await shop.read(payment)
    assert (found["status"], found["captured"]) == ("pending", 0)
    await buyer.hears(payment, "payment.attention")
    assert (await shop.read(payment))["attention"] == "product_mismatch"


async def test_only_a_store_has_purchases_to_verify(shop: Shop, buyer: Buyer) -> None:
    payment = await shop.pending()
    answer = await buyer.verify(payment, "a.b.c")
    assert (answer.status_code, answer.json()["code"]) == (422, "not_sold_by_a_store")


async def test_money_that_comes_after_the_payment_was_closed_is_accepted(
    buyer: Buyer, shop: Shop, house: House
) -> None:
    payment = await buyer.ask()
    asked = await buyer.buy(payment, ask_to_buy=True)
    await shop.http.post(f"/v1/payments/{payment['id']}/cancel")
    await shop.reaches(payment, "closed")
    await house.ended(payment)
    bought = await buyer.act("approve", reference=asked["order"]["reference"], notify=False)
    answer = await buyer.verify(payment, await buyer.signed(bought))
    assert answer.status_code in (200, 202), answer.text
    found = await shop.reaches(payment, "succeeded")
    assert (found["late"], found["captured"]) == (True, payment["amount"])
    assert found["entitlement"]["has_access"]
    await buyer.hears(payment, "payment.closed", "payment.succeeded")


async def test_a_refund_of_an_in_app_purchase_is_not_ours_to_make(buyer: Buyer, shop: Shop) -> None:
    payment, _ = await buyer.bought()
    answer = await shop.refund(payment, uuid4().hex)
    assert (answer.status_code, answer.json()["code"]) == (422, "refund_unsupported")
    assert "refund.succeeded" in answer.json()["detail"]


async def test_an_order_paid_twice_by_purchases_calls_a_person(buyer: Buyer, shop: Shop) -> None:
    first = await buyer.ask()
    order_no = first["order_no"]
    second = await shop.create(iap_order(order_no=order_no), key=uuid4().hex)
    assert second.status_code == 201, second.text
    for payment in (first, second.json()):
        signed = await buyer.signed(await buyer.buy(payment))
        assert (await buyer.verify(payment, signed)).json()["status"] == "succeeded"
    found = await shop.read(second.json())
    assert found["duplicate"]
    await buyer.hears(second.json(), "payment.succeeded", "payment.attention")
    assert (await shop.read(second.json()))["attention"] == "refund_failed"


@pytest.mark.parametrize(
    ("claims", "attention"),
    [
        ({"inAppOwnershipType": "FAMILY_SHARED"}, "account_mismatch"),
        ({"type": "Non-Consumable"}, "product_mismatch"),
    ],
)
async def test_what_was_not_bought_or_is_another_kind_pays_nothing(
    buyer: Buyer, shop: Shop, claims: dict[str, str], attention: str
) -> None:
    # The sandbox sold it honestly: asked about the mismatch, it would say so.
    fault = {"provider": "apple_iap", "operation": "query", "kind": "server_error", "times": -1}
    await buyer.provider.control.post("/_sandbox/faults", json=fault)
    payment = await buyer.ask(COINS)
    bought = await buyer.buy(payment)
    answer = await buyer.verify(payment, await buyer.signed(bought, params={"claims": claims}))
    assert (answer.status_code, answer.json()["code"]) == (409, "purchase_differs"), answer.text
    [told] = await buyer.hears(payment, "payment.attention")
    assert told["data"]["attention"] == attention
    assert (await shop.read(payment))["captured"] == 0
