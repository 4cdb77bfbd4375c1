import json
from uuid import UUID

from tests.sandbox.apple_iap.conftest import COINS, MONTHLY, RECIPES, Step
from tests.sandbox.rig import Rig

PAGE = "/cashier/apple_iap"


async def press(rig: Rig, **form: str) -> str:
    """Press a button of the page and read what it shows then."""
    answer = await rig.client.post(PAGE, data=form, follow_redirects=True)
    assert answer.status_code == 200
    return answer.text


async def test_the_cashier_leads_to_the_phone(rig: Rig) -> None:
    assert f'href="{PAGE}"' in (await rig.client.get("/cashier/")).text
    assert "A phone with your app" in (await rig.client.get(PAGE)).text


async def test_a_buyer_buys_and_apple_gives_the_money_back_and_takes_it_again(rig: Rig) -> None:
    page = await press(rig, deed="buy", product_id=COINS, quantity="2")
    [order] = await rig.look("orders")
    number = order["provider_reference"]
    assert number in page
    assert "Reverse refund" in await press(rig, deed="refund", transaction_id=number)
    assert "Reverse refund" not in await press(rig, deed="reverse-refund", transaction_id=number)
    assert [move["amount"] for move in await rig.look("ledger")] == [1200, 1200, -1200]


async def test_the_shops_checkout_opens_the_sheet_and_a_parent_decides(
    rig: Rig, token: str
) -> None:
    checkout = json.dumps({"productId": RECIPES, "appAccountToken": token})
    assert "shows the purchase sheet" in await press(rig, deed="open", checkout=checkout)
    listed = (await rig.client.get("/cashier/")).text
    assert f"/cashier/apple_iap/{UUID(token).hex}" in listed
    page = await press(rig, deed="approve", reference=UUID(token).hex)
    assert token in page
    assert "shows the purchase sheet" not in page


async def test_querying_a_parent_waits_until_declined(rig: Rig) -> None:
    page = await press(rig, deed="buy", product_id=COINS, quantity="1", ask_to_buy="1")
    assert "asks a parent" in page
    [order] = await rig.look("orders")
    assert "asks a parent" not in await press(rig, deed="decline", reference=order["reference"])
    assert await rig.look("ledger") == []


async def test_a_subscription_has_its_own_buttons(rig: Rig, buy: Step) -> None:
    number = (await buy(MONTHLY))["transaction_id"]
    page = (await rig.client.get(PAGE)).text
    for label in ("Renew", "Fail renewal", "Expire", "Share"):
        assert f">{label}</button>" in page
    shared = await press(rig, deed="family-share", transaction_id=number)
    assert "End sharing" in shared
    assert "Done: expire" in await press(rig, deed="expire", transaction_id=number)


async def test_what_makes_no_sense_is_said_and_changes_nothing(rig: Rig) -> None:
    page = await press(rig, deed="buy", product_id=COINS, quantity="many<b>")
    assert "many<b>" not in page
    assert "only" in await press(rig, deed="buy", product_id=RECIPES, quantity="2")
    assert "no purchase" in await press(rig, deed="approve", reference="<script>")
    assert "needs other content" in await press(rig, deed="refund")
    evil = await rig.client.get(PAGE, params={"said": "<script>alert(1)</script>"})
    assert "<script>" not in evil.text
    assert await rig.look("orders") == []
