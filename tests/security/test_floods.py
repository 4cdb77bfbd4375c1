import asyncio
import time
from contextlib import AsyncExitStack
from ipaddress import ip_network
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from api.http import rates
from api.http.admission import MerchantLimits, Visitors
from api.http.peers import PeerRule, network_of
from api.http.rates import Buckets, NoPlace, Slots, Waiting
from api.http.route_classes import RouteClass
from settings import Settings
from tests.api.genuine import Genuine
from tests.api.house import House, order
from tests.security.requests import caller, house_with

PAUSE = 0.2
FLOOD = 60


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "PAUSE_SECONDS", PAUSE)
    monkeypatch.setattr(rates, "PAUSE_SPREAD", (1.0, 1.0))


@pytest.fixture
def settings(house: House) -> Settings:
    return house.dependencies.settings


def _codes(answers: list[httpx.Response]) -> dict[tuple[int, str | None], int]:
    found: dict[tuple[int, str | None], int] = {}
    for answer in answers:
        code = (answer.status_code, answer.json().get("code"))
        found[code] = found.get(code, 0) + 1
    return found


async def test_a_flood_of_one_merchant_is_never_created_and_never_costs_another_its_place(
    house: House,
) -> None:
    limited = await house_with(house, create_rate=2, create_concurrency=2)
    flooding, quiet = await limited.shop(), await limited.shop()
    flood = [asyncio.create_task(flooding.create(order())) for _ in range(FLOOD)]
    await asyncio.wait(flood, return_when=asyncio.FIRST_COMPLETED)

    answer = await quiet.create(order())
    answers = await asyncio.gather(*flood)

    assert answer.status_code == 201, answer.text
    created = sum(answer.status_code in (201, 202) for answer in answers)
    stored = await flooding.http.get("/v1/payments", params={"limit": 100})
    assert len(stored.json()["data"]) == created <= 6
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) == FLOOD - created
    for problem in refused:
        assert problem.headers["retry-after"] == "1"
        assert problem.json()["code"] in ("rate_limit_exceeded", "too_many_concurrent_requests")
        assert problem.json()["retryable"]


async def test_a_refused_request_never_costs_a_statement(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = await house_with(house, read_rate=0.001)
    shop = await limited.shop()
    assert (await shop.http.get("/v1/payments")).status_code == 200

    def none(*_: object, **__: object) -> None:
        raise AssertionError("a statement")

    monkeypatch.setattr(type(limited.dependencies.database), "statement", none)
    answers = [shop.http.get("/v1/payments") for _ in range(FLOOD)]
    assert _codes(await asyncio.gather(*answers)) == {(429, "rate_limit_exceeded"): FLOOD}


async def test_a_refusal_never_comes_at_the_speed_of_the_flood(house: House) -> None:
    limited = await house_with(house, read_rate=0.001)
    shop = await limited.shop()
    await shop.http.get("/v1/payments")

    begun = time.monotonic()
    answers = 0
    while time.monotonic() < begun + 3 * PAUSE:
        assert (await shop.http.get("/v1/payments")).status_code == 429
        answers += 1
    assert answers <= 4


async def test_a_merchants_slow_requests_never_take_more_than_its_slots(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = await house_with(house, read_concurrency=3)
    slow, quiet = await limited.shop(), await limited.shop()
    store = type(limited.dependencies.stores.payments)
    usual = store.list_for_merchant
    let_go, running, most = asyncio.Event(), 0, 0

    async def hang(self: Any, merchant_id: str, **rest: Any) -> Any:
        nonlocal running, most
        if merchant_id == slow.merchant.id:
            running += 1
            most = max(most, running)
            await let_go.wait()
            running -= 1
        return await usual(self, merchant_id, **rest)

    monkeypatch.setattr(store, "list_for_merchant", hang)
    flood = [asyncio.create_task(slow.http.get("/v1/payments")) for _ in range(FLOOD)]
    await asyncio.wait(flood, return_when=asyncio.FIRST_COMPLETED)
    assert (await quiet.http.get("/v1/payments")).status_code == 200
    async with asyncio.timeout(10):
        while sum(one.done() for one in flood) < FLOOD - 3:
            await asyncio.wait(flood, timeout=PAUSE)
    let_go.set()
    found = _codes(await asyncio.gather(*flood))
    assert most == 3
    assert found == {(200, None): 3, (429, "too_many_concurrent_requests"): FLOOD - 3}


async def test_one_kind_of_requests_never_uses_up_another(settings: Settings) -> None:
    limits = MerchantLimits(settings.model_copy(update={"read_rate": 0.001}), Waiting())
    async with limits.admit("m", RouteClass.READ):
        pass
    async with limits.admit("m", RouteClass.CREATE), limits.admit("m", RouteClass.COMMAND):
        pass


async def test_a_flood_of_forged_notifications_never_delays_a_provider_elsewhere(
    house: House, delayed: list[str]
) -> None:
    limited = await house_with(house, peer_rate=50, peer_concurrency=4)
    path = "/notify/alipay/main"
    async with (
        caller(limited.app, "198.51.100.7") as stranger,
        caller(limited.app, "203.0.113.9") as provider,
    ):
        begun = time.monotonic()
        flood = [asyncio.create_task(stranger.post(path, content=b"x")) for _ in range(FLOOD)]
        await asyncio.wait(flood, return_when=asyncio.FIRST_COMPLETED)
        assert (await provider.post(path, content=b"x")).status_code == 400
        answers = await asyncio.gather(*flood)
        took = time.monotonic() - begun

    assert network_of("203.0.113.9") not in delayed
    # Two at full speed, then four at a time with a pause each; who finds no place waits as long.
    assert took >= PAUSE
    served = [answer for answer in answers if answer.status_code == 400]
    assert len(served) <= 4 * (2 + took / PAUSE)
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(served) + len(refused) == FLOOD
    assert {answer.json()["code"] for answer in refused} == {"too_many_concurrent_requests"}
    assert f'code="too_many_concurrent_requests",route_class="notify"}} {len(refused)}.0' in (
        await _metrics(limited)
    )


async def test_messages_that_a_provider_signed_in_a_new_form_never_delay_its_address(
    house: House, delayed: list[str]
) -> None:
    limited = await house_with(house, peer_rate=50, peer_concurrency=4)
    async with caller(limited.app, "203.0.113.9") as provider:
        for _ in range(4):
            answer = await Genuine.of(limited, provider).wechatpay("TRANSACTION.SUCCESS")
            assert answer.status_code == 500
    assert delayed == []


async def _metrics(limited: House) -> str:
    async with caller(limited.app, "192.0.2.1") as operator:
        return (await operator.get("/metrics")).text


async def test_a_flood_of_notifications_never_delays_a_merchant(
    house: House, delayed: list[str]
) -> None:
    limited = await house_with(house, peer_rate=1, peer_concurrency=1)
    shop = await limited.shop()
    async with caller(limited.app, "127.0.0.1") as stranger:
        flood = [
            asyncio.create_task(stranger.post("/notify/alipay/main", content=b"x"))
            for _ in range(FLOOD)
        ]
        await asyncio.sleep(0)
        assert (await shop.http.get("/v1/payments")).status_code == 200
        await asyncio.gather(*flood)
    assert delayed
    assert shop.merchant.id not in delayed


async def test_many_peers_together_never_get_more_than_four_times_one_peers_places(
    settings: Settings,
) -> None:
    visitors = Visitors(settings.model_copy(update={"peer_concurrency": 2}), Waiting())
    async with AsyncExitStack() as held:
        for number in range(8):
            visit = await held.enter_async_context(visitors.visit(f"198.51.100.{number}"))
            await held.enter_async_context(visitors.serve(visit))
        visit = await held.enter_async_context(visitors.visit("203.0.113.9"))
        with pytest.raises(NoPlace):
            await held.enter_async_context(visitors.serve(visit))
    async with visitors.visit("203.0.113.9") as visit, visitors.serve(visit):
        pass


async def test_what_is_kept_of_peers_and_merchants_never_grows_without_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rates, "MOST_BUCKETS", 100)
    buckets, slots = Buckets(1, 1), Slots(1, Waiting())
    for number in range(1000):
        assert await buckets.take(f"peer-{number}")
        async with slots.slot(f"peer-{number}"):
            pass
    assert len(buckets._by_key) == 100  # noqa: SLF001 - memory has no other face
    assert not slots._by_key  # noqa: SLF001


async def test_who_waits_is_never_more_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MOST_WAITING", 3)
    waiting = Waiting()
    waits = [asyncio.create_task(waiting.pause("m")) for _ in range(10)]
    done = await asyncio.gather(*waits, return_exceptions=True)
    assert sum(isinstance(outcome, NoPlace) for outcome in done) == 7


TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def _scope(peer: str | None, *headers: str) -> dict[str, Any]:
    found = [(b"x-forwarded-for", header.encode()) for header in headers]
    return {"type": "http", "client": (peer, 1) if peer else None, "headers": found}


@pytest.mark.parametrize(
    ("peer", "headers", "address"),
    [
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        # What stands before the proxies' own entries was written by the client.
        ("10.0.0.1", ["192.0.2.1, 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["192.0.2.1, 198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        ("10.0.0.1", ["192.0.2.1", "198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["192.0.2.1, nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["nonsense, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("fd00::1", ["2001:db8::7"], "2001:db8::7"),
        # Nobody else is believed.
        ("198.51.100.7", ["192.0.2.1"], "198.51.100.7"),
        ("unix", ["192.0.2.1"], "unix"),
        (None, ["192.0.2.1"], "unknown"),
    ],
)
def test_a_stranger_never_chooses_its_own_address(
    peer: str | None, headers: list[str], address: str
) -> None:
    assert PeerRule("X-Forwarded-For", TRUSTED).address(_scope(peer, *headers)) == address
    assert PeerRule().address(_scope(peer, *headers)) == (peer or "unknown")


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("unknown", "unknown"),
    ],
)
def test_a_subscribers_addresses_are_never_many_peers(peer: str, network: str) -> None:
    assert network_of(peer) == network


@pytest.fixture
def needed(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("DATABASE_URL", "PUBLIC_URL", "ACCOUNTS_FILE", "PAYLOAD_KEYS_FILE"):
        monkeypatch.setenv(f"PAYSAGA_{name}", "x")
    return monkeypatch


def test_a_header_is_never_believed_from_everybody(needed: pytest.MonkeyPatch) -> None:
    needed.setenv("PAYSAGA_PEER_HEADER", "X-Forwarded-For")
    with pytest.raises(ValidationError, match="PAYSAGA_TRUSTED_PROXIES"):
        Settings()
    needed.setenv("PAYSAGA_TRUSTED_PROXIES", "10.0.0.0/8, fd00::/8")
    assert Settings().trusted_proxies == TRUSTED
    needed.setenv("PAYSAGA_PEER_HEADER", "")
    needed.setenv("PAYSAGA_TRUSTED_PROXIES", "")
    assert Settings().peer_header is None


@pytest.mark.parametrize("name", ["CREATE_RATE", "READ_CONCURRENCY", "PEER_CONCURRENCY"])
def test_a_limit_is_never_nothing(needed: pytest.MonkeyPatch, name: str) -> None:
    needed.setenv(f"PAYSAGA_{name}", "0")
    with pytest.raises(ValidationError, match="greater than 0"):
        Settings()
