import time
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.sandbox.apple_iap.conftest import COINS, MONTHLY, RECIPES, Step
from tests.sandbox.apple_iap.shop import AppStoreShop, claims_of, header_of
from tests.sandbox.rig import Rig

FORGERIES = (
    "unsigned",
    "alg_hs256",
    "bad_signature",
    "signtest",
    "tamper_body",
    "foreign_key",
    "foreign_ca",
    "leaf_without_oid",
    "intermediate_without_oid",
    "two_certificates",
    "unknown_serial",
    "expired_certificate",
)
FOREIGN = "11111111-2222-4333-8444-555555555555"
# What a genuine signature may say: the fault, its parameters, and the claim that differs.
LIES: tuple[tuple[str, dict[str, Any], str, Any], ...] = (
    ("foreign_app", {}, "bundleId", "com.example.another"),
    ("wrong_environment", {}, "environment", "Xcode"),
    ("wrong_environment", {"environment": "Production"}, "environment", "Production"),
    ("wrong_amount", {"amount": 1}, "price", 10),
    ("wrong_product", {"product_id": RECIPES}, "productId", RECIPES),
    ("missing_token", {}, "appAccountToken", None),
    ("foreign_token", {"token": FOREIGN}, "appAccountToken", FOREIGN),
    ("quantity", {"quantity": 3}, "quantity", 3),
)


@pytest.mark.parametrize("flaw", [*FORGERIES, "nested_foreign_ca"])
async def test_what_the_app_holds_may_be_forged(
    shop: AppStoreShop, buy: Step, act: Step, flaw: str
) -> None:
    bought = await buy()
    spoilt = await act("jws", transaction_id=bought["transaction_id"], flaw=flaw)
    jws = spoilt["signed_transaction"]
    assert claims_of(jws)["transactionId"] == bought["transaction_id"]
    assert shop.is_genuine(jws) is (flaw == "nested_foreign_ca")


@pytest.mark.parametrize("flaw", FORGERIES)
async def test_an_answer_may_be_forged_once(
    shop: AppStoreShop, buy: Step, script: Step, flaw: str
) -> None:
    number = (await buy(MONTHLY))["transaction_id"]
    await script("query", flaw)
    answer = await shop.get(f"/v1/transactions/{number}")
    assert not shop.is_genuine(answer["signedTransactionInfo"])
    await shop.transaction(number)


@pytest.mark.parametrize("flaw", FORGERIES)
async def test_a_notification_may_be_forged(
    rig: Rig, shop: AppStoreShop, buy: Step, listening: str, token: str, flaw: str
) -> None:
    await buy()
    await rig.control("notify", provider="apple_iap", reference=UUID(token).hex, fault=flaw)
    payload = rig.receiver.requests[0].read()
    jws = httpx.Response(200, content=payload).json()["signedPayload"]
    assert not shop.is_genuine(jws)
    assert shop.is_genuine(claims_of(jws)["data"]["signedTransactionInfo"])


async def test_a_genuine_notification_may_execute_a_forged_transaction(
    rig: Rig, shop: AppStoreShop, buy: Step, listening: str, script: Step
) -> None:
    await script("notify", "nested_foreign_ca")
    await buy(notify=True)
    body = (await rig.receiver.wait_for(1))[0].read()
    payload = shop.verified(httpx.Response(200, content=body).json()["signedPayload"])
    assert not shop.is_genuine(payload["data"]["signedTransactionInfo"])


@pytest.mark.parametrize(("flaw", "params", "claim", "value"), LIES)
async def test_a_genuine_report_may_say_something_else(
    rig: Rig,
    shop: AppStoreShop,
    buy: Step,
    act: Step,
    listening: str,
    flaw: str,
    params: dict[str, Any],
    claim: str,
    value: object,
) -> None:
    order = await buy(COINS)
    held = await act("jws", transaction_id=order["transaction_id"], flaw=flaw, params=params)
    assert shop.verified(held["signed_transaction"]).get(claim) == value
    names = {"provider": "apple_iap", "reference": order["order"]["reference"]}
    await rig.control("notify", **names, fault=flaw, params=params)
    payload = shop.notified(rig.receiver.requests[0])
    assert payload["data"]["signedTransactionInfo"].get(claim) == value
    # The envelope says what it says of the app and where it was sold.
    assert payload["data"].get(claim) in (None, value)


async def test_a_report_may_be_of_yesterday_or_of_a_type_nobody_knows(
    rig: Rig, shop: AppStoreShop, buy: Step, listening: str, token: str
) -> None:
    await buy()
    for flaw in ("stale", "unknown_type"):
        names = {"provider": "apple_iap", "reference": UUID(token).hex}
        await rig.control("notify", **names, fault=flaw)
    old, new = (shop.notified(request) for request in rig.receiver.requests)
    assert old["signedDate"] == new["signedDate"] - 86_400_000
    assert new["notificationType"] == "BRAND_NEW"
    assert old["notificationUUID"] == new["notificationUUID"]


async def test_a_token_may_come_in_capitals(
    shop: AppStoreShop, buy: Step, act: Step, token: str
) -> None:
    number = (await buy())["transaction_id"]
    held = await act("jws", transaction_id=number, flaw="upper_case_token")
    assert shop.verified(held["signed_transaction"])["appAccountToken"] == token.upper()


@pytest.mark.parametrize(
    ("kind", "params", "status", "code"),
    [
        ("server_error", {}, 500, 5000000),
        ("server_error", {"status": 503}, 503, 5000000),
        ("system_error", {}, 500, 5000001),
        ("not_found", {}, 404, 4040010),
        ("error_code", {"code": 4040004}, 404, 4040004),
        ("rate_limited", {}, 429, 4290000),
    ],
)
async def test_a_call_fails_once_and_then_works(
    shop: AppStoreShop,
    buy: Step,
    script: Step,
    kind: str,
    params: dict[str, Any],
    status: int,
    code: int,
) -> None:
    number = (await buy())["transaction_id"]
    await script("query", kind, **params)
    answer = await shop.call("GET", f"/v1/transactions/{number}")
    assert (answer.status_code, answer.json()["errorCode"]) == (status, code)
    assert answer.headers["content-type"] == "application/json"
    await shop.transaction(number)


async def test_who_queries_too_often_is_notified_a_moment_in_milliseconds(
    shop: AppStoreShop, buy: Step, script: Step
) -> None:
    number = (await buy())["transaction_id"]
    await script("query", "rate_limited")
    answer = await shop.call("GET", f"/v1/transactions/{number}")
    assert 0 < int(answer.headers["retry-after"]) - time.time() * 1000 < 10_000


async def test_an_answer_is_lost_after_the_deed(
    rig: Rig, shop: AppStoreShop, buy: Step, script: Step
) -> None:
    number = (await buy())["transaction_id"]
    await script("finish", "lost_answer")
    with pytest.raises(httpx.ReadError):
        await shop.call("POST", f"/v1/transactions/{number}/finish")
    assert (await rig.look("orders"))[0]["extra"]["finished"] is True


async def test_an_answer_may_be_cut_late_or_rejected_without_a_report(
    shop: AppStoreShop, buy: Step, script: Step
) -> None:
    number = (await buy())["transaction_id"]
    for kind in ("garbled", "unauthorized", "delay"):
        await script("query", kind, seconds=0.01)
    path = f"/v1/transactions/{number}"
    garbled, silent, late = [await shop.call("GET", path) for _ in range(3)]
    with pytest.raises(ValueError, match="Unterminated"):
        garbled.json()
    assert (silent.status_code, silent.content) == (401, b"")
    assert late.status_code == 200


async def test_a_fault_meets_its_own_order_in_the_history_of_notifications_too(
    rig: Rig, shop: AppStoreShop, buy: Step, token: str
) -> None:
    fault = {"provider": "apple_iap", "operation": "query", "kind": "server_error"}
    await rig.control("faults", **fault, reference=UUID(token).hex)
    assert await shop.history() == []
    await buy()
    now = int(time.time() * 1000)
    body = {"startDate": now - 60_000, "endDate": now + 60_000}
    answer = await shop.call("POST", "/v1/notifications/history", json=body)
    assert answer.status_code == 500
    assert len(await shop.history()) == 1


async def test_a_history_of_notifications_may_be_forged(
    shop: AppStoreShop, buy: Step, script: Step
) -> None:
    await buy()
    await script("query", "foreign_ca")
    now = int(time.time() * 1000)
    body = {"startDate": now - 60_000, "endDate": now + 60_000}
    answer = await shop.call("POST", "/v1/notifications/history", json=body)
    [item] = answer.json()["notificationHistory"]
    assert not shop.is_genuine(item["signedPayload"])


async def test_each_flaw_is_one_flaw(buy: Step, act: Step) -> None:
    number = (await buy())["transaction_id"]
    headers = {
        flaw: header_of((await act("jws", transaction_id=number, flaw=flaw))["signed_transaction"])
        for flaw in ("unsigned", "alg_hs256", "two_certificates", "unknown_serial")
    }
    assert [header["alg"] for header in headers.values()] == ["none", "HS256", "ES256", "ES256"]
    lengths = [len(header.get("x5c", ())) for header in headers.values()]
    assert lengths == [3, 3, 2, 0]


async def test_unknown_faults_and_deeds_are_rejected(rig: Rig, act: Step, buy: Step) -> None:
    fault = {"provider": "apple_iap", "operation": "query", "kind": "unknown_type"}
    assert (await rig.client.post("/_sandbox/faults", json=fault)).status_code == 422
    paths = {"steal": 404, "refund": 422, "renew": 422, "notify": 422, "approve": 422}
    for deed, status in paths.items():
        answer = await rig.client.post(f"/_sandbox/apple_iap/{deed}", json={})
        assert (deed, answer.status_code) == (deed, status)
    strange = {"transaction_id": "1"}
    assert (await rig.client.post("/_sandbox/apple_iap/jws", json=strange)).status_code == 404
    settings = {"colour": "blue"}
    answer = await rig.client.post("/_sandbox/apple_iap/apps/main", json=settings)
    assert answer.status_code == 422
