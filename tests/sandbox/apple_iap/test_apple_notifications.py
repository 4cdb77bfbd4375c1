import json
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.sandbox.apple_iap.conftest import COINS, MONTHLY, RECIPES, Step
from tests.sandbox.apple_iap.shop import AppStoreShop, claims_of
from tests.sandbox.rig import Rig


@pytest.fixture(autouse=True)
async def told(listening: str) -> str:
    """Every test here has an address in App Store Connect."""
    return listening


async def test_a_purchase_is_notified_once_signed_inside_and_outside(
    rig: Rig, shop: AppStoreShop, buy: Step, token: str, told: str
) -> None:
    bought = await buy(notify=True)
    [request] = await rig.receiver.wait_for(1)
    assert (str(request.url), request.headers["content-type"]) == (told, "application/json")
    payload = shop.notified(request)
    assert (payload["notificationType"], payload["version"]) == ("ONE_TIME_CHARGE", "2.0")
    assert "subtype" not in payload
    assert payload["data"]["bundleId"] == shop.app["bundle_id"]
    assert "appAppleId" not in payload["data"]
    transaction = payload["data"]["signedTransactionInfo"]
    assert transaction["transactionId"] == bought["transaction_id"]
    assert transaction["appAccountToken"] == token


async def test_production_names_the_app_by_its_number(
    rig: Rig, shop: AppStoreShop, buy: Step
) -> None:
    await buy(notify=True, environment="Production")
    payload = shop.notified((await rig.receiver.wait_for(1))[0])
    assert payload["data"]["appAppleId"] == shop.app["app_apple_id"]
    assert payload["data"]["environment"] == "Production"


async def test_a_subscription_is_notified_with_its_renewal_and_status(
    rig: Rig, shop: AppStoreShop, buy: Step
) -> None:
    await buy(MONTHLY, notify=True)
    payload = shop.notified((await rig.receiver.wait_for(1))[0])
    assert (payload["notificationType"], payload["subtype"]) == ("SUBSCRIBED", "INITIAL_BUY")
    assert payload["data"]["status"] == 1
    assert payload["data"]["signedRenewalInfo"]["autoRenewStatus"] == 1


async def test_five_retries_with_the_same_number_and_then_no_answer(
    rig: Rig, shop: AppStoreShop, buy: Step
) -> None:
    rig.receiver.answers = [httpx.Response(500) for _ in range(9)]
    await rig.control("clock", scale=1e6)
    await buy(notify=True)
    seen = await rig.until(
        "notifications", lambda seen: seen["deliveries"][0]["state"] == "exhausted"
    )
    assert len(seen["attempts"]) == 6
    payloads = [shop.notified(request) for request in rig.receiver.requests]
    assert all(payload == payloads[0] for payload in payloads)
    await rig.control("clock", scale=1)
    [item] = await shop.history(onlyFailures=True)
    results = [attempt["sendAttemptResult"] for attempt in item["sendAttempts"]]
    assert results == ["UNSUCCESSFUL_HTTP_RESPONSE_CODE"] * 6


@pytest.mark.parametrize("status", [200, 206, 207])
async def test_the_status_alone_acknowledges(
    rig: Rig, shop: AppStoreShop, buy: Step, status: int
) -> None:
    accepted = status != 207
    rig.receiver.answers = [httpx.Response(status, content=b"FAIL")]
    await buy(notify=True)
    seen = await rig.until("notifications", lambda seen: bool(seen["attempts"]))
    assert seen["attempts"][0]["accepted"] is accepted
    assert bool(await shop.history(onlyFailures=True)) is not accepted


async def test_a_lost_notification_is_in_the_history(
    rig: Rig, shop: AppStoreShop, buy: Step, token: str
) -> None:
    await buy()
    [item] = await shop.history(onlyFailures=True)
    assert [attempt["sendAttemptResult"] for attempt in item["sendAttempts"]] == ["NO_RESPONSE"]
    assert claims_of(item["data"]["signedTransactionInfo"])["appAccountToken"] == token
    assert rig.receiver.requests == []


async def test_a_notification_may_come_again_with_its_number(
    rig: Rig, shop: AppStoreShop, buy: Step, token: str
) -> None:
    await buy(notify=True)
    await rig.control("notify", provider="apple_iap", reference=UUID(token).hex)
    payloads = [shop.notified(request) for request in await rig.receiver.wait_for(2)]
    assert payloads[0] == payloads[1]


async def test_a_store_that_sends_no_one_time_charges_has_none_in_its_history(
    rig: Rig, shop: AppStoreShop, buy: Step, act: Step, token: str
) -> None:
    await act("apps/main", one_time_charge=False)
    await buy(notify=True)
    await act("apps/main", one_time_charge=True)
    assert await shop.history() == []
    content = {"provider": "apple_iap", "reference": UUID(token).hex}
    assert (await rig.client.post("/_sandbox/notify", json=content)).status_code == 409


async def test_a_refund_is_notified_of_its_own_transaction(
    rig: Rig, shop: AppStoreShop, buy: Step, act: Step, token: str
) -> None:
    number = (await buy())["transaction_id"]
    await act("refund", transaction_id=number, percentage=50_000)
    payload = shop.notified((await rig.receiver.wait_for(1))[0])
    assert payload["notificationType"] == "REFUND"
    assert payload["data"]["signedTransactionInfo"]["revocationPercentage"] == 50_000
    names = {"provider": "apple_iap", "reference": UUID(token).hex, "kind": "refund"}
    await rig.control("notify", **names)
    assert shop.notified(rig.receiver.requests[1]) == payload


async def test_the_end_of_a_family_is_notified(
    rig: Rig, shop: AppStoreShop, buy: Step, act: Step
) -> None:
    owner = await buy(RECIPES)
    member = await act("family-share", transaction_id=owner["transaction_id"], notify=False)
    await act("family-revoke", transaction_id=member["transaction_id"])
    payload = shop.notified((await rig.receiver.wait_for(1))[0])
    assert payload["notificationType"] == "REVOKE"
    transaction = payload["data"]["signedTransactionInfo"]
    assert transaction["inAppOwnershipType"] == "FAMILY_SHARED"


async def test_a_test_notification_can_be_followed(rig: Rig, shop: AppStoreShop) -> None:
    answer = await shop.call("POST", "/v1/notifications/test")
    payload = shop.notified((await rig.receiver.wait_for(1))[0])
    assert payload["notificationType"] == "TEST"
    await rig.until("notifications", lambda seen: bool(seen["attempts"]))
    token = answer.json()["testNotificationToken"]
    seen = await shop.get(f"/v1/notifications/test/{token}")
    assert shop.verified(seen["signedPayload"])["notificationUUID"] == payload["notificationUUID"]
    assert [item["sendAttemptResult"] for item in seen["sendAttempts"]] == ["SUCCESS"]
    for wrong, code in (("x", 4000020), ("x_1", 4040008)):
        answer = await shop.call("GET", f"/v1/notifications/test/{wrong}")
        assert answer.json()["errorCode"] == code


@pytest.mark.parametrize(
    ("host", "environment"), [("base_url", "Sandbox"), ("production_url", "Production")]
)
async def test_a_test_notification_is_of_the_environment_that_it_was_requested_in(
    rig: Rig, shop: AppStoreShop, host: str, environment: str
) -> None:
    headers = {"authorization": f"Bearer {shop.token()}"}
    url = f"{shop.section[host]}/inApps/v1/notifications/test"
    assert (await shop.client.post(url, headers=headers)).status_code == 200
    data = shop.notified((await rig.receiver.wait_for(1))[0])["data"]
    assert data["environment"] == environment
    number = shop.app["app_apple_id"] if environment == "Production" else None
    assert data.get("appAppleId") == number


async def test_without_an_address_there_is_no_test(shop: AppStoreShop, act: Step) -> None:
    await act("apps/main", notification_url=None)
    answer = await shop.call("POST", "/v1/notifications/test")
    assert answer.json()["errorCode"] == 4040007


@pytest.mark.parametrize(
    "content",
    [
        {"type": "RENEWAL_EXTENSION", "subtype": "SUMMARY", "section": "summary"},
        {"type": "EXTERNAL_PURCHASE_TOKEN", "section": "externalPurchaseToken"},
        {"type": "RESCIND_CONSENT", "section": "appData"},
        {"type": "METADATA_UPDATE"},
        {"type": "BRAND_NEW", "subtype": "UNHEARD_OF"},
    ],
)
async def test_any_type_can_be_sent(
    rig: Rig, shop: AppStoreShop, act: Step, content: dict[str, Any]
) -> None:
    await act("notify", **content, body={"bundleId": "b", "environment": "Sandbox"})
    payload = shop.notified((await rig.receiver.wait_for(1))[0])
    assert payload["notificationType"] == content["type"]
    assert payload[content.get("section", "data")]["bundleId"] == "b"


async def test_any_type_can_be_sent_about_a_purchase(
    rig: Rig, shop: AppStoreShop, buy: Step, act: Step
) -> None:
    number = (await buy(MONTHLY))["transaction_id"]
    await act("notify", type="PRICE_INCREASE", subtype="PENDING", transaction_id=number)
    payload = shop.notified((await rig.receiver.wait_for(1))[0])
    assert payload["data"]["signedTransactionInfo"]["transactionId"] == number


async def test_duplicates_come_at_once_with_one_number(
    rig: Rig, shop: AppStoreShop, buy: Step, script: Step
) -> None:
    await script("notify", "duplicate", times=5)
    await buy(notify=True)
    payloads = [shop.notified(request) for request in await rig.receiver.wait_for(5)]
    assert len({payload["notificationUUID"] for payload in payloads}) == 1


async def test_a_refund_may_be_notified_before_its_purchase(
    rig: Rig, shop: AppStoreShop, buy: Step, act: Step, script: Step
) -> None:
    await script("notify", "reorder")
    number = (await buy(notify=True))["transaction_id"]
    await act("refund", transaction_id=number)
    told = [shop.notified(item)["notificationType"] for item in await rig.receiver.wait_for(2)]
    assert told == ["REFUND", "ONE_TIME_CHARGE"]


async def test_a_misbehaving_attempt_leaves_the_notification_as_it_was(
    rig: Rig, shop: AppStoreShop, buy: Step, token: str
) -> None:
    await buy(MONTHLY)
    names = {"provider": "apple_iap", "reference": UUID(token).hex}
    [before] = (await rig.look("notifications"))["deliveries"]
    for flaw in ("foreign_app", "nested_foreign_ca", "unknown_type", "wrong_product"):
        await rig.control("notify", **names, fault=flaw)
    assert (await rig.look("notifications"))["deliveries"] == [before]
    assert not {"data", "signedTransactionInfo"} & before["notice"]["content"]["head"].keys()
    await rig.control("notify", **names)
    payload = shop.notified(rig.receiver.requests[-1])
    assert (payload["notificationType"], payload["data"]["bundleId"]) == (
        "SUBSCRIBED",
        shop.app["bundle_id"],
    )


async def test_the_body_has_one_field(rig: Rig, buy: Step) -> None:
    await buy(COINS, notify=True)
    body = (await rig.receiver.wait_for(1))[0].content
    assert list(json.loads(body)) == ["signedPayload"]
