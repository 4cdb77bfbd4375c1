"""Notifications: sealed, signed, repeated on the ladder, and misdone on demand."""

import json
from typing import Any

import httpx
import pytest

from sandbox.wechatpay import notices
from tests.sandbox.rig import Rig
from tests.sandbox.wechatpay.conftest import NOTIFY_URL, Step
from tests.sandbox.wechatpay.shop import WechatpayShop

HOUR = 3600
LADDER = [15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, HOUR, *[3 * HOUR] * 3, *[6 * HOUR] * 2]


async def test_a_payment_is_notified_with_the_content_of_a_query(
    rig: Rig, shop: WechatpayShop, paid: Step, reference: str
) -> None:
    await paid(notify=True)
    request = (await rig.receiver.wait_for(1))[0]
    envelope, plaintext = shop.read(request)
    assert str(request.url) == NOTIFY_URL
    assert set(envelope) == {
        *("id", "create_time", "resource_type", "event_type", "summary", "resource"),
    }
    assert envelope["event_type"] == "TRANSACTION.SUCCESS"
    assert envelope["resource"]["original_type"] == "transaction"
    assert len(envelope["resource"]["nonce"]) == 12
    assert plaintext == await shop.state(reference)


async def test_slashes_are_plain_unless_a_fault_escapes_them(
    rig: Rig, shop: WechatpayShop, paid: Step
) -> None:
    await paid(notify=True)
    request = (await rig.receiver.wait_for(1))[0]
    assert b"\\/" not in request.content
    assert shop.is_genuine(request.headers, request.content)


async def test_only_the_raw_bytes_verify_where_slashes_are_escaped(
    rig: Rig, shop: WechatpayShop, paid: Step, script: Step
) -> None:
    await script("notify", "escaped_slashes")
    await paid(notify=True)
    request = (await rig.receiver.wait_for(1))[0]
    assert b"\\/" in request.content
    compact = json.dumps(json.loads(request.content), ensure_ascii=False, separators=(",", ":"))
    assert shop.is_genuine(request.headers, request.content)
    assert not shop.is_genuine(request.headers, compact.encode())


async def test_a_merchant_with_a_public_key_is_notified_under_that_key(
    rig: Rig, key_shop: WechatpayShop, order: dict[str, Any], reference: str
) -> None:
    content = order | {"mchid": key_shop.merchant["mchid"]}
    await key_shop.call("POST", "/v3/pay/transactions/native", content)
    await rig.control("pay", provider="wechatpay", reference=reference)
    request = (await rig.receiver.wait_for(1))[0]
    assert request.headers["Wechatpay-Serial"] == key_shop.merchant["public_key_id"]
    assert key_shop.read(request)[1]["mchid"] == key_shop.merchant["mchid"]


async def test_a_rejected_notification_climbs_the_whole_ladder(
    rig: Rig, shop: WechatpayShop, paid: Step
) -> None:
    rig.receiver.answers = [httpx.Response(500, json={"code": "FAIL"}) for _ in range(20)]
    await paid(notify=True)
    await rig.control("clock", scale=1_000_000)
    requests = await rig.receiver.wait_for(len(LADDER) + 1)
    read = [shop.read(request) for request in requests]
    assert len({envelope["id"] for envelope, _ in read}) == 1
    assert len({request.headers["Wechatpay-Nonce"] for request in requests}) == len(requests)
    seen = await rig.until(
        "notifications", lambda seen: seen["deliveries"][0]["state"] != "pending"
    )
    assert seen["deliveries"][0]["state"] == "exhausted"
    assert len(requests) == len(LADDER) + 1


def test_the_ladder_is_the_documented_one_and_lasts_24_hours_and_4_minutes() -> None:
    assert list(notices.LADDER) == LADDER
    assert sum(notices.LADDER) == 24 * HOUR + 4 * 60


@pytest.mark.parametrize(
    ("status", "state"), [(200, "accepted"), (204, "accepted"), (202, "pending"), (500, "pending")]
)
async def test_the_status_decides_not_the_body(
    rig: Rig, paid: Step, status: int, state: str
) -> None:
    rig.receiver.answers = [httpx.Response(status, content=b'{"code":"FAIL"}')]
    await paid(notify=True)
    seen = await rig.until("notifications", lambda seen: seen["attempts"])
    assert seen["attempts"][0]["status"] == status
    seen = await rig.look("notifications")
    assert seen["deliveries"][0]["state"] == state


@pytest.mark.parametrize(
    "kind", ["tamper_body", "foreign_key", "stale", "signtest", "unknown_serial"]
)
async def test_a_notification_that_is_not_genuine_is_recognised_and_a_good_one_follows(
    rig: Rig, shop: WechatpayShop, paid: Step, script: Step, kind: str
) -> None:
    await script("notify", kind)
    rig.receiver.answers = [httpx.Response(401)]
    await rig.control("clock", scale=1000)
    await paid(notify=True)
    bad, good = await rig.receiver.wait_for(2)
    assert not shop.is_genuine(bad.headers, bad.content)
    assert json.loads(bad.content)["event_type"] == "TRANSACTION.SUCCESS"
    assert shop.read(good)[1]["trade_state"] == "SUCCESS"


async def test_a_signature_probe_says_so_in_its_signature(
    rig: Rig, paid: Step, script: Step
) -> None:
    await script("notify", "signtest")
    await paid(notify=True)
    headers = (await rig.receiver.wait_for(1))[0].headers
    assert headers["Wechatpay-Signature"].startswith("WECHATPAY/SIGNTEST/")


async def test_a_foreign_key_claims_the_true_serial(
    rig: Rig, shop: WechatpayShop, paid: Step, script: Step
) -> None:
    await script("notify", "foreign_key")
    await paid(notify=True)
    headers = (await rig.receiver.wait_for(1))[0].headers
    assert headers["Wechatpay-Serial"] == shop.merchant["platform_serial"]


async def test_another_amount_is_correctly_signed(
    rig: Rig, shop: WechatpayShop, paid: Step, script: Step
) -> None:
    await script("notify", "wrong_amount", amount=1)
    await paid(notify=True)
    _, plaintext = shop.read((await rig.receiver.wait_for(1))[0])
    assert plaintext["amount"]["total"] == 1


async def test_another_merchant_and_app_are_correctly_signed(
    rig: Rig, shop: WechatpayShop, paid: Step, script: Step
) -> None:
    await script("notify", "foreign_app")
    await paid(notify=True)
    _, plaintext = shop.read((await rig.receiver.wait_for(1))[0])
    assert plaintext["mchid"] != shop.merchant["mchid"]
    assert plaintext["appid"] != shop.appid


async def test_the_control_api_sends_one_notification_and_returns_the_answer(
    rig: Rig, paid: Step, place: Step, reference: str
) -> None:
    await place()
    wanted = {"provider": "wechatpay", "reference": reference, "fault": "stale"}
    assert (await rig.client.post("/_sandbox/notify", json=wanted)).status_code == 409
    await paid()
    rig.receiver.answers = [httpx.Response(401, content=b"old")]
    answer = await rig.control("notify", **wanted)
    assert answer.pop("seconds") >= 0
    assert answer == {"status": 401, "body": "old", "accepted": False}
