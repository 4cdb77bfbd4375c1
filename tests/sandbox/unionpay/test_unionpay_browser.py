import html
import json
import re
from urllib.parse import urlencode

import httpx

from tests.sandbox.rig import Rig
from tests.sandbox.unionpay.shop import FRONT_URL, Fields, UnionpayShop

FRONT = "frontTransReq.do"


def front(shop: UnionpayShop, **changes: str | None) -> Fields:
    """A signed form for the payer's browser."""
    usual: dict[str, str | None] = {"channelType": "07", "frontUrl": FRONT_URL}
    return shop.sign(shop.consume(**{**usual, **changes}))


async def submit(shop: UnionpayShop, fields: Fields) -> httpx.Response:
    return await shop.client.post(f"{shop.base_url}/{FRONT}", data=fields)


async def test_the_browser_lands_at_the_cashier_and_the_order_is_pending(
    rig: Rig, shop: UnionpayShop
) -> None:
    fields = front(shop, riskRateInfo="{commodityName=两本书}")
    landed = await submit(shop, fields)
    assert landed.status_code == 303
    page = await rig.client.get(landed.headers["location"])
    assert "两本书" in page.text
    assert "¥20.00" in page.text
    assert (await shop.query(fields))["origRespCode"] == "05"


async def test_the_browser_returns_with_a_signed_form(rig: Rig, shop: UnionpayShop) -> None:
    fields = front(shop)
    cashier = (await submit(shop, fields)).headers["location"]
    paid = await rig.client.post(f"{cashier}/pay", follow_redirects=True)
    assert f'action="{FRONT_URL}"' in paid.text
    pairs = re.findall(r'name="([^"]*)" value="([^"]*)"', paid.text)
    returned = {name: html.unescape(value) for name, value in pairs}
    assert shop.is_genuine(returned)
    assert (returned["respCode"], returned["orderId"]) == ("00", fields["orderId"])
    query = await shop.query(fields)
    assert returned["queryId"] == query["queryId"]


async def test_there_is_no_way_back_before_the_money(rig: Rig, shop: UnionpayShop) -> None:
    fields = front(shop)
    await submit(shop, fields)
    path = f"/unionpay/return/{fields['merId']}/{fields['orderId']}"
    assert (await rig.client.get(path)).status_code == 404
    assert (await rig.client.get("/unionpay/return/1/2")).status_code == 404


async def test_the_same_form_again_is_the_same_order_another_one_is_rejected(
    rig: Rig, shop: UnionpayShop
) -> None:
    fields = front(shop)
    assert (await submit(shop, fields)).status_code == 303
    assert (await submit(shop, fields)).status_code == 303
    unsigned = {key: value for key, value in fields.items() if key != "signature"}
    other = await submit(shop, shop.sign(unsigned | {"txnAmt": "1"}))
    assert "<code>12</code>" in other.text
    orders = await rig.look("orders", provider="unionpay")
    assert [order["amount"] for order in orders] == [2000]


async def test_a_forged_form_shows_an_error_to_the_payer(rig: Rig, shop: UnionpayShop) -> None:
    refused = await submit(shop, front(shop) | {"txnAmt": "1"})
    assert "<code>11</code>" in refused.text
    refused = await submit(shop, front(shop, frontUrl=None))
    assert "<code>13</code>" in refused.text
    assert await rig.look("orders") == []


async def test_a_script_opens_a_form_however_the_merchant_hands_it_over(
    rig: Rig, shop: UnionpayShop
) -> None:
    fields = front(shop, channelType="08", riskRateInfo='{commodityName="<b>"}')
    inputs = "".join(
        f'<input type="hidden" name="{name}" value="{html.escape(value)}"/>'
        for name, value in fields.items()
    )
    url = f"{shop.base_url}/{FRONT}"
    page = f'<html><form id="pay" action="{url}" method="post">{inputs}</form></html>'
    for checkout in (page, json.dumps({"url": url, "fields": fields}), urlencode(fields)):
        opened = await rig.control("open", provider="unionpay", checkout=checkout)
        assert (opened["status"], opened["channel"]) == ("OPENED", "wap")
        assert opened["subject"] == '"<b>"'
    forged = {"provider": "unionpay", "checkout": urlencode(fields | {"txnAmt": "1"})}
    assert (await rig.client.post("/_sandbox/open", json=forged)).status_code == 422


async def test_the_buttons_of_the_cashier(rig: Rig, shop: UnionpayShop) -> None:
    fields = front(shop)
    cashier = (await submit(shop, fields)).headers["location"]
    assert "Cancelled" in (await rig.client.post(f"{cashier}/cancel")).text
    assert await rig.look("ledger") == []
    assert (await rig.client.post(f"{cashier}/pay-silently")).status_code == 303
    assert (await rig.look("notifications"))["deliveries"] == []
    assert (await shop.query(fields))["origRespCode"] == "00"
    assert (await rig.client.post(f"{cashier}/pay")).status_code == 409


async def test_a_scripted_rejection_reaches_the_browser(rig: Rig, shop: UnionpayShop) -> None:
    fault = {"provider": "unionpay", "operation": "create", "kind": "resp_code"}
    await rig.control("faults", **fault, params={"code": "02"})
    fields = front(shop)
    assert "<code>02</code>" in (await submit(shop, fields)).text
    assert (await shop.query(fields))["respCode"] == "34"


async def test_the_cashiers_own_address_is_a_checkout_too(rig: Rig, shop: UnionpayShop) -> None:
    fields = front(shop)
    cashier = (await submit(shop, fields)).headers["location"]
    paid = await rig.control("pay", provider="unionpay", checkout=cashier)
    assert paid["status"] == "PAID"
    nothing = {"provider": "unionpay", "checkout": f"{cashier}x"}
    assert (await rig.client.post("/_sandbox/open", json=nothing)).status_code == 404
    assert (await rig.client.get("/unionpay/qr/nothing")).status_code == 404


async def test_a_browser_may_have_to_wait(rig: Rig, shop: UnionpayShop) -> None:
    fault = {"provider": "unionpay", "operation": "create", "kind": "delay"}
    await rig.control("faults", **fault, params={"seconds": 0.05})
    assert (await submit(shop, front(shop))).status_code == 303
    assert await rig.look("faults") == []
