"""Scripted misbehaviour of calls: what was executed, and what the merchant can believe."""

import json
from typing import Any

import httpx
import pytest

from tests.sandbox.rig import Rig
from tests.sandbox.wechatpay.conftest import PLACE, Place, Step
from tests.sandbox.wechatpay.shop import WechatpayShop

NATIVE = f"{PLACE}/native"


@pytest.mark.parametrize("kind", ["unsigned", "bad_signature", "signtest"])
async def test_an_answer_that_cannot_be_believed_was_executed(
    rig: Rig, shop: WechatpayShop, order: dict[str, Any], script: Step, kind: str
) -> None:
    await script("create", kind)
    response = await shop.send("POST", NATIVE, order)
    assert response.status_code == 200
    assert not shop.is_genuine(response.headers, response.content)
    assert (await shop.call("POST", NATIVE, order)) == response.json()
    assert len(await rig.look("orders")) == 1


async def test_a_garbled_answer_is_signed_and_not_json(
    shop: WechatpayShop, order: dict[str, Any], script: Step
) -> None:
    await script("create", "garbled")
    response = await shop.send("POST", NATIVE, order)
    assert shop.is_genuine(response.headers, response.content)
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(response.content)


async def test_a_lost_answer_was_executed(
    shop: WechatpayShop, order: dict[str, Any], script: Step
) -> None:
    await script("create", "lost_answer")
    with pytest.raises(httpx.TransportError):
        await shop.send("POST", NATIVE, order)
    assert (await shop.state(order["out_trade_no"]))["trade_state"] == "NOTPAY"


@pytest.mark.parametrize(
    ("kind", "params", "answer", "count"),
    [
        ("server_error", {}, (500, "SYSTEM_ERROR"), 0),
        ("server_error", {"code": "SERVICE_UNAVAILABLE"}, (503, "SERVICE_UNAVAILABLE"), 0),
        ("server_error", {"status": 502}, (502, "SYSTEM_ERROR"), 0),
        ("server_error", {"code": "OPENID_MISMATCH"}, (500, "OPENID_MISMATCH"), 0),
        ("error_code", {"code": "NOT_ENOUGH"}, (403, "NOT_ENOUGH"), 0),
        ("error_code", {"code": "RULE_LIMIT", "status": 400}, (400, "RULE_LIMIT"), 0),
        ("system_error", {}, (500, "SYSTEM_ERROR"), 1),
        ("rate_limited", {"code": "RATELIMIT_EXCEEDED"}, (429, "RATELIMIT_EXCEEDED"), 0),
        ("delay", {"seconds": 0.01}, (200, None), 1),
    ],
)
async def test_an_error_says_nothing_about_execution(
    *,
    rig: Rig,
    shop: WechatpayShop,
    order: dict[str, Any],
    script: Step,
    kind: str,
    params: dict[str, Any],
    answer: tuple[int, str | None],
    count: int,
) -> None:
    await script("create", kind, **params)
    response = await shop.send("POST", NATIVE, order)
    assert (response.status_code, response.json().get("code")) == answer
    assert len(await rig.look("orders")) == count
    await shop.call("POST", NATIVE, order)


async def test_a_fault_for_one_order_leaves_the_others_alone(
    rig: Rig, shop: WechatpayShop, place: Place, order: dict[str, Any], reference: str
) -> None:
    fault = {"provider": "wechatpay", "operation": "create", "kind": "server_error"}
    await rig.control("faults", **fault, reference=reference)
    await place(out_trade_no="another-order")
    assert await shop.refusal("POST", NATIVE, order) == (500, "SYSTEM_ERROR")


async def test_an_empty_refund_query_hides_a_refund(
    shop: WechatpayShop, paid: Step, script: Step
) -> None:
    content = await paid()
    await shop.call("POST", "/v3/refund/domestic/refunds", content)
    await script("refund_query", "empty_refund_query")
    query = f"/v3/refund/domestic/refunds/{content['out_refund_no']}"
    assert await shop.refusal("GET", query) == (404, "RESOURCE_NOT_EXISTS")
    assert (await shop.call("GET", query))["out_refund_no"] == content["out_refund_no"]


async def test_an_unknown_path_is_signed_as_any_other(shop: WechatpayShop) -> None:
    assert await shop.refusal("GET", "/v3/moon") == (404, "RESOURCE_NOT_EXISTS")
    response = await shop.client.get("/v3/moon")
    assert response.status_code == 401
