import asyncio
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from api.http import bodies
from api.http.bodies import REQUEST_BYTES, Bodies
from api.http.problems import ApiProblem
from api.http.route_classes import LARGEST_BODY, ROUTES, RouteClass, find_route
from tests.api.house import House
from tests.security.requests import CHUNK, Unfinished, house_with

MIB = 1024 * 1024
WRONG = {"Authorization": "Bearer psk_wrong"}


@pytest.fixture
async def closed(house: House, tmp_path: Path) -> FastAPI:
    """In production mode: operators need their token."""
    token = tmp_path / "operator_token"
    token.write_text("right")
    return (await house_with(house, mode="production", operator_token_file=token)).app


@pytest.mark.parametrize("headers", [{}, WRONG])
@pytest.mark.parametrize(
    "path",
    [
        "/ops/codec/decode",
        "/ops/codec/encode",
        "/ops/stores/apple_iap/main/catch-up",
        "/v1/restore",
        "/v1/payments",
        "/v1/payments/6f1c7d0e-54b5-4f0a-9a55-0d3c5f1f2b7e/refunds",
    ],
)
async def test_a_strangers_body_is_never_read(
    closed: FastAPI, path: str, headers: dict[str, str]
) -> None:
    request = Unfinished(path, sends=8 * MIB, headers=headers)
    async with asyncio.timeout(5):
        await request.to(closed)
    assert (request.status, request.code) == (401, "unauthenticated")
    assert request.read == 0


@pytest.mark.parametrize(
    "path", ["/ops/codecs", "/ops/codec", "/ops/codec/decode/x", "/v1/restored", "/v1/restore/x"]
)
async def test_a_path_that_only_begins_like_a_large_route_is_never_read(
    closed: FastAPI, path: str
) -> None:
    request = Unfinished(path, sends=8 * MIB)
    async with asyncio.timeout(5):
        await request.to(closed)
    assert (request.status, request.code) == (404, "route_not_found")
    assert request.read == 0


async def test_unfinished_bodies_of_strangers_never_hold_more_than_the_bound(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "NOTIFICATION_BODIES", MIB)
    monkeypatch.setattr(bodies, "VISITORS_BODY_SECONDS", 0.5)
    app = (await house_with(house)).app
    flood = [
        Unfinished("/notify/alipay/main", sends=LARGEST_BODY, peer=f"198.51.100.{number}")
        for number in range(100)
    ]
    answering = [asyncio.create_task(request.to(app)) for request in flood]
    stopped = [asyncio.create_task(request.stopped.wait()) for request in flood]
    await asyncio.wait([*answering, *stopped], return_when=asyncio.FIRST_COMPLETED)
    await asyncio.sleep(0)
    held = sum(request.read for request in flood if not request.messages)
    assert held <= MIB + len(flood) * CHUNK
    await asyncio.gather(*answering)
    for waiting in stopped:
        waiting.cancel()
    codes = [(request.status, request.code) for request in flood]
    assert set(codes) == {(408, "body_incomplete"), (503, "overloaded")}
    assert codes.count((408, "body_incomplete")) <= MIB // LARGEST_BODY


async def test_one_address_never_fills_the_memory_for_all_notifications() -> None:
    each = LARGEST_BODY + REQUEST_BYTES
    held = Bodies(4 * each, share=2 * each)

    def body(peer: str) -> Any:
        request = Unfinished("/", sends=LARGEST_BODY)
        return held.body(
            {"headers": []}, request.receive, largest=MIB, seconds=0.5, sender=peer
        ).__aenter__()

    flood = [asyncio.create_task(body("198.51.100.1")) for _ in range(4)]
    genuine = asyncio.create_task(body("203.0.113.9"))

    refused = await asyncio.gather(*flood, genuine, return_exceptions=True)

    codes = [each.code for each in refused if isinstance(each, ApiProblem)]
    unfinished = "body_incomplete"
    assert codes == [unfinished, unfinished, "overloaded", "overloaded", unfinished]


async def test_what_was_held_is_never_lost_to_the_next() -> None:
    held = Bodies(LARGEST_BODY + REQUEST_BYTES)
    for sends in (LARGEST_BODY, LARGEST_BODY * 2, LARGEST_BODY):
        request = Unfinished("/", sends=sends)
        with pytest.raises(ApiProblem) as refused:
            async with held.body(
                {"headers": []}, request.receive, largest=MIB, seconds=0.01, sender="m"
            ):
                raise AssertionError("it never ends")
        assert refused.value.code == ("body_incomplete" if sends == LARGEST_BODY else "overloaded")


async def test_a_stranger_never_sends_for_longer_than_its_time(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "VISITORS_BODY_SECONDS", 0.05)
    request = Unfinished("/notify/alipay/main", sends=1)
    async with asyncio.timeout(5):
        await request.to(house.app)
    assert (request.status, request.code) == (408, "body_incomplete")


async def test_a_probe_is_never_held_up_by_a_body(house: House) -> None:
    request = Unfinished("/healthz", sends=1, method="GET")
    async with asyncio.timeout(5):
        await request.to(house.app)
    assert request.status == 200


def test_no_route_is_ever_without_its_class(house: House) -> None:
    documented = {
        (method.upper(), path)
        for path, item in house.app.openapi()["paths"].items()
        for method in item
    }
    assert set(ROUTES) == documented | {("GET", "/openapi.json"), ("GET", "/docs")}


def test_only_large_routes_take_large_bodies_and_none_of_them_is_open_to_strangers() -> None:
    large = {key: route for key, route in ROUTES.items() if route.largest_body > LARGEST_BODY}
    assert {path for _, path in large} == {"/ops/codec/decode", "/ops/codec/encode", "/v1/restore"}
    for route in large.values():
        assert route.route_class in (RouteClass.OPERATOR, RouteClass.COMMAND)


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("GET", "/v1/payments", "/v1/payments"),
        ("GET", "/v1/payments/x", "/v1/payments/{payment_id}"),
        ("GET", "/v1/payments/", None),
        ("GET", "/v1/payments/x/y", None),
        ("DELETE", "/v1/payments", None),
        ("HEAD", "/v1/payments", None),
        ("POST", "/notify/alipay/main", "/notify/{provider}/{account}"),
        ("POST", "/notify/alipay/main/", None),
        ("POST", "/notify/alipay", None),
        ("POST", "//notify/alipay/main", None),
    ],
)
def test_a_route_is_never_taken_for_another(method: str, path: str, route: str | None) -> None:
    match = find_route(method, path)
    assert (match.route.path if match else None) == route
