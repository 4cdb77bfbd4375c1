import asyncio
from typing import Any

import httpx
import pytest

from api.http import key_cache
from tests.api.house import House, ProviderSide, Shop, order, visitor

NOBODYS = "6f1c7d0e-54b5-4f0a-9a55-0d3c5f1f2b7e"
COMMON = ("result_code", "result_msg", "err_detail", "id")


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Bearer psk_wrong", "Basic psk_wrong", "psk_wrong"]
)
async def test_without_a_valid_key_nothing_is_told(
    stranger: httpx.AsyncClient, header: str | None
) -> None:
    headers = {"Authorization": header} if header is not None else {}
    for method, path in (
        ("GET", "/v1/payments"),
        ("POST", "/v1/payments"),
        ("GET", f"/v1/payments/{NOBODYS}"),
        ("GET", "/v1/events"),
    ):
        response = await stranger.request(method, path, headers=headers, json=order())
        assert (response.status_code, response.json()["code"]) == (401, "unauthenticated"), path
        assert response.headers["www-authenticate"].startswith("Bearer")


async def test_a_revoked_key_opens_nothing_any_more(
    house: House, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_cache, "KEY_SECONDS", 0)
    keys = house.dependencies.stores.keys
    key = await keys.create(shop.merchant.id, "short-lived")
    async with visitor(house.app, key) as client:
        assert (await client.get("/v1/payments")).status_code == 200
        for known in await keys.list_for_merchant(shop.merchant.id):
            await keys.revoke(known.prefix)
        assert (await client.get("/v1/payments")).status_code == 401


async def test_merchants_see_only_their_own(
    shop: Shop, other_shop: Shop, provider: ProviderSide
) -> None:
    made = await shop.pending()
    await provider.pay(made)
    await provider.notify(made)
    await shop.reaches(made, "succeeded")
    refund = (await shop.refund(made, "r1", amount=1)).json()
    path = f"/v1/payments/{made['id']}"
    attempts = [
        await other_shop.http.get(path),
        await other_shop.http.post(f"{path}/cancel"),
        await other_shop.http.post(f"{path}/sync"),
        await other_shop.http.get(f"{path}/refunds"),
        await other_shop.refund(made, "r1"),
        await other_shop.http.get(f"/v1/refunds/{refund['id']}"),
    ]
    assert [a.status_code for a in attempts] == [404] * len(attempts)
    assert {a.json()["code"] for a in attempts} == {"not_found"}
    for lists in ("/v1/payments", "/v1/events", f"/v1/events?payment_id={made['id']}"):
        assert (await other_shop.http.get(lists)).json()["data"] == []


async def test_the_same_key_of_two_merchants_is_two_payments(shop: Shop, other_shop: Shop) -> None:
    body = order()
    mine, theirs = await shop.create(body, "k"), await other_shop.create(body, "k")
    assert (mine.status_code, theirs.status_code) == (201, 201)
    assert mine.json()["id"] != theirs.json()["id"]


async def test_every_answer_has_the_four_parameters(shop: Shop, house: House) -> None:
    made = await shop.pending()
    async with visitor(house.app) as stranger:
        answers = [
            await shop.read(made),
            (await shop.http.get("/v1/payments")).json(),
            (await shop.http.get("/v1/events")).json(),
            (await stranger.get("/healthz")).json(),
            (await stranger.get("/readyz")).json(),
        ]
    for answer in answers:
        assert [answer[name] for name in COMMON[:3]] == [0, "OK", None]
        assert "id" in answer


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "code"),
    [
        ("GET", "/nowhere", {}, 404, "route_not_found"),
        ("DELETE", "/v1/payments", {}, 405, "method_not_allowed"),
        ("GET", f"/v1/payments/{NOBODYS}", {}, 404, "not_found"),
        ("GET", "/v1/payments/not-a-uuid", {}, 422, "invalid_request"),
        ("GET", f"/v1/refunds/{NOBODYS}", {}, 404, "not_found"),
        ("POST", "/v1/payments", {"content": b"{"}, 400, "invalid_json"),
        ("POST", "/v1/payments", {"content": b"\xff"}, 400, "invalid_json"),
        ("POST", "/v1/payments", {"content": b""}, 422, "invalid_request"),
        ("POST", "/v1/payments", {"json": []}, 422, "invalid_request"),
        ("POST", "/v1/payments", {"json": {}}, 422, "invalid_request"),
        ("POST", "/v1/payments", {"content": b" " * 65537}, 413, "body_too_large"),
    ],
)
async def test_every_error_has_the_four_parameters(
    shop: Shop, *, method: str, path: str, sent: dict[str, Any], status: int, code: str
) -> None:
    headers = {"Content-Type": "application/json"}
    response = await shop.http.request(method, path, headers=headers, **sent)
    problem = response.json()
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["code"] == code
    assert problem["result_code"] == problem["status"] == status
    assert problem["result_msg"] == problem["title"]
    assert problem["err_detail"] == problem["detail"]
    assert problem["id"] is None
    assert problem["type"] == f"urn:paysaga:problem:{code}"


async def test_a_body_that_grows_without_end_is_cut_off(shop: Shop) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while True:
            sent += 1024
            yield b"x" * 1024

    async with asyncio.timeout(5):
        response = await shop.http.post("/v1/payments", content=endless())
    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")
    assert sent <= 128 * 1024


async def test_what_nobody_foresaw_still_answers_in_shape(
    shop: Shop, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("psk_secret")

    monkeypatch.setattr(type(house.dependencies.stores.payments), "list_for_merchant", broken)
    response = await shop.http.get("/v1/payments")
    problem = response.json()
    assert (response.status_code, problem["code"]) == (500, "internal_error")
    assert problem["retryable"]
    assert "psk_secret" not in response.text
