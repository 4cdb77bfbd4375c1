"""The provider whose rules are the odd ones: a form, a query after a notification, no close."""

import asyncio
import json
from html import unescape
from re import findall
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import httpx

from domain.identity import payment_workflow_id
from tests.api.house import House, ProviderSide, Shop


def opened(made: dict[str, Any]) -> str:
    """What the payer's browser brings to UnionPay."""
    checkout = made["checkout"]
    return json.dumps({"url": checkout["value"], "fields": checkout["parameters"]})


async def paid_in_browser(provider: ProviderSide, made: dict[str, Any]) -> dict[str, Any]:
    content = {"provider": "unionpay", "checkout": opened(made), "notify": False}
    answer = await provider.control.post("/_sandbox/pay", json=content)
    assert answer.status_code == 200, answer.text
    done: dict[str, Any] = answer.json()
    return done


async def test_a_notification_pays_once_a_query_has_said_the_same(
    shop: Shop, provider: ProviderSide, house: House
) -> None:
    made = await shop.pending(provider="unionpay", account="main")
    await provider.pay(made)
    answer = await provider.notify(made)
    assert (answer["accepted"], answer["body"]) == (True, "ok")
    found = await shop.reaches(made, "succeeded")
    assert found["captured"] == made["amount"]
    handle = house.dependencies.temporal.get_workflow_handle(payment_workflow_id(UUID(made["id"])))
    # The markers of a task are written when it ends, after the books.
    await asyncio.wait_for(handle.result(), 20)
    asked = [
        json.loads(event.marker_recorded_event_attributes.details["data"].payloads[0].data)
        async for event in handle.fetch_history_events()
        if event.HasField("marker_recorded_event_attributes")
    ]
    assert "query_payment" in [step["activity_type"] for step in asked]


async def test_the_providers_rules_travel_with_the_run(shop: Shop, house: House) -> None:
    made = await shop.pending(provider="unionpay", account="main", channel="app")
    handle = house.dependencies.temporal.get_workflow_handle(payment_workflow_id(UUID(made["id"])))
    first = await anext(handle.fetch_history_events())
    started = first.workflow_execution_started_event_attributes
    [order] = await house.dependencies.temporal.data_converter.decode(started.input.payloads)
    assert order["policy"]["confirm"]
    assert order["policy"]["grace"] == 180


async def test_a_browser_payment_is_a_form_and_comes_back_by_one(
    shop: Shop, provider: ProviderSide, stranger: httpx.AsyncClient
) -> None:
    made = await shop.pending(
        provider="unionpay",
        account="main",
        channel="page",
        return_url="https://shop.example/thanks",
    )
    assert made["checkout"]["kind"] == "form"
    paid = await paid_in_browser(provider, made)
    page = (await provider.control.get(paid["return_url"])).text
    inputs = findall(r'name="(\w+)" value="([^"]*)"', page)
    fields = {name: unescape(value) for name, value in inputs}
    back = await stranger.post("/return/unionpay/main", content=urlencode(fields))
    assert back.status_code == 303
    assert back.headers["location"].startswith("https://shop.example/thanks?payment_id=")
    # Whoever comes back proves nothing.
    assert (await shop.read(made))["status"] == "pending"
    forged = urlencode(fields | {"txnAmt": "1"})
    assert (await stranger.post("/return/unionpay/main", content=forged)).status_code == 400
    assert (await stranger.post("/return/unionpay/nobody")).status_code == 404


async def test_a_refund_is_accepted_first_and_then_done(shop: Shop, provider: ProviderSide) -> None:
    made = await shop.pending(provider="unionpay", account="main")
    await provider.pay(made)
    await provider.notify(made)
    await shop.reaches(made, "succeeded")
    answer = await shop.refund(made, "first", amount=700)
    assert (answer.status_code, answer.json()["status"]) == (201, "pending")
    reference = answer.json()["id"].replace("-", "")
    content = {"provider": "unionpay", "refund_reference": reference}
    done = await provider.control.post("/_sandbox/refunds/complete", json=content)
    assert done.status_code in (200, 409)
    told = await provider.notify(made, kind="refund", refund_reference=reference)
    assert told["accepted"]


async def test_nobody_closes_an_order_before_its_time(shop: Shop, provider: ProviderSide) -> None:
    made = await shop.pending(provider="unionpay", account="main")
    await provider.pay(made)
    answer = await shop.http.post(f"/v1/payments/{made['id']}/cancel")
    # Paid before it was cancelled: the question that stands for a close finds the money.
    assert answer.json()["status"] == "succeeded"
