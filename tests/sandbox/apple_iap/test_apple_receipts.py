"""verifyReceipt, for old clients: `status` says everything."""

import base64
import json
from typing import Any

import pytest

from tests.sandbox.apple_iap.conftest import COINS, MONTHLY, RECIPES, Step
from tests.sandbox.apple_iap.shop import AppStoreShop
from tests.sandbox.rig import Rig

Answer = dict[str, Any]


@pytest.fixture
def verify(rig: Rig, shop: AppStoreShop) -> Step:
    """Ask the sandbox's host about a receipt."""

    async def ask(receipt: str, *, host: str = "", **more: Any) -> Answer:
        url = f"{host or shop.section['base_url']}/verifyReceipt"
        response = await rig.client.post(url, json={"receipt-data": receipt, **more})
        assert response.status_code == 200
        answer: Answer = response.json()
        return answer

    return ask


async def receipt_of(act: Step, bought: Answer) -> str:
    answer = await act("receipt", transaction_id=bought["transaction_id"])
    return str(answer["receipt_data"])


async def test_a_receipt_holds_what_the_account_bought(
    shop: AppStoreShop, buy: Step, act: Step, verify: Step
) -> None:
    bought = await buy(RECIPES, customer="7000")
    await buy(RECIPES, customer="7001")
    coins = await buy(COINS, customer="7000")
    answer = await verify(await receipt_of(act, bought))
    assert (answer["status"], answer["environment"]) == (0, "Sandbox")
    assert answer["receipt"]["bundle_id"] == shop.app["bundle_id"]
    numbers = [item["transaction_id"] for item in answer["receipt"]["in_app"]]
    assert numbers == [bought["transaction_id"], coins["transaction_id"]]
    assert answer["receipt"]["in_app"][1]["quantity"] == "1"
    await shop.call("POST", f"/v1/transactions/{coins['transaction_id']}/finish")
    later = await verify(await receipt_of(act, bought))
    assert [item["product_id"] for item in later["receipt"]["in_app"]] == [RECIPES]


async def test_a_refund_is_a_cancellation_date(buy: Step, act: Step, verify: Step) -> None:
    bought = await buy(RECIPES)
    receipt = await receipt_of(act, bought)
    await act("refund", transaction_id=bought["transaction_id"], notify=False)
    [item] = (await verify(receipt))["receipt"]["in_app"]
    assert int(item["cancellation_date_ms"]) > int(item["purchase_date_ms"]) - 1


async def test_a_subscription_needs_the_shared_secret(
    shop: AppStoreShop, buy: Step, act: Step, verify: Step
) -> None:
    bought = await buy(MONTHLY, customer="7000")
    await act("renew", transaction_id=bought["transaction_id"], notify=False)
    receipt = await receipt_of(act, bought)
    for wrong in ({}, {"password": "nonsense"}, {"password": 5}):
        assert await verify(receipt, **wrong) == {"status": 21004}
    answer = await verify(receipt, password=shop.app["shared_secret"])
    assert len(answer["latest_receipt_info"]) == 2
    assert answer["pending_renewal_info"][0]["auto_renew_status"] == "1"
    only = {"password": shop.app["shared_secret"], "exclude-old-transactions": True}
    [latest] = (await verify(receipt, **only))["latest_receipt_info"]
    assert latest["original_transaction_id"] == bought["transaction_id"]
    assert latest["transaction_id"] != bought["transaction_id"]


async def test_a_receipt_belongs_to_one_environment(
    rig: Rig, shop: AppStoreShop, buy: Step, act: Step, verify: Step
) -> None:
    production = rig.manifest["apple_iap"]["production_url"]
    sandboxed = await receipt_of(act, await buy(RECIPES))
    sold = await receipt_of(act, await buy(RECIPES, environment="Production"))
    assert await verify(sandboxed, host=production) == {"status": 21007}
    assert await verify(sold) == {"status": 21008}
    assert (await verify(sold, host=production))["environment"] == "Production"


async def test_what_is_no_receipt_is_notified_from_a_forged_one(
    rig: Rig, shop: AppStoreShop, buy: Step, act: Step, verify: Step
) -> None:
    receipt = await receipt_of(act, await buy(RECIPES))
    for nonsense in ("", "nonsense", base64.b64encode(b"[]").decode(), "{}"):
        assert await verify(nonsense) == {"status": 21002}
    content, signature = (base64.b64decode(part) for part in json.loads(base64.b64decode(receipt)))
    forged = [content.replace(b"Sandbox", b"Xandbox"), signature]
    text = "[" + ",".join(f'"{base64.b64encode(part).decode()}"' for part in forged) + "]"
    assert await verify(base64.b64encode(text.encode()).decode()) == {"status": 21003}
    url = f"{shop.section['base_url']}/verifyReceipt"
    assert (await rig.client.get(url)).json() == {"status": 21000}
    assert (await rig.client.post(url, content=b"5")).json() == {"status": 21002}
