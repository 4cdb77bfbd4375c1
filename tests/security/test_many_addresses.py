import asyncio
import time
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from api.http import rates
from api.http.admission import MOST_REPEATS, PROBE_RATE, Probes, Visitors
from api.http.peers import network_of
from api.http.rates import NoPlace, Waiting
from settings import Settings
from tests.api.house import House, order
from tests.security.requests import caller, house_with

PAUSE = 0.2
GENUINE = "203.0.113.9"


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "PAUSE_SECONDS", PAUSE)
    monkeypatch.setattr(rates, "PAUSE_SPREAD", (1.0, 1.0))


@pytest.fixture
def settings(house: House) -> Settings:
    return house.dependencies.settings


async def _turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("path", ["/nope", "/v1/nope", "/v1/payments/x/y"])
async def test_paths_that_do_not_exist_are_never_answered_at_the_speed_of_a_flood(
    house: House, path: str
) -> None:
    limited = await house_with(house, peer_rate=50, peer_concurrency=2)
    async with caller(limited.app, "198.51.100.7") as stranger:
        begun = time.monotonic()
        answers = await asyncio.gather(*(stranger.get(path) for _ in range(30)))
        took = time.monotonic() - begun
        async with caller(limited.app, GENUINE) as other:
            assert (await other.get("/openapi.json")).status_code == 200
    found = [answer for answer in answers if answer.status_code == 404]
    assert {answer.json()["code"] for answer in found} == {"route_not_found"}
    # Two at full speed, then two at a time with a pause each.
    assert took >= PAUSE
    assert len(found) <= 2 * (2 + took / PAUSE)
    assert len(found) + sum(answer.status_code == 429 for answer in answers) == 30


async def test_a_flood_of_probes_is_never_answered_at_its_speed_nor_delays_anothers_probe(
    house: House, monkeypatch: pytest.MonkeyPatch, delayed: list[str]
) -> None:
    pause = 1.0
    monkeypatch.setattr(rates, "PAUSE_SECONDS", pause)
    limited = await house_with(house)
    async with (
        caller(limited.app, "198.51.100.7") as stranger,
        caller(limited.app, GENUINE) as orchestrator,
    ):
        begun = time.monotonic()
        flood = [asyncio.create_task(stranger.get("/healthz")) for _ in range(60)]
        await asyncio.wait(flood, return_when=asyncio.FIRST_COMPLETED)
        assert (await orchestrator.get("/healthz")).json()["result_code"] == 0
        at_full_speed = sum(one.done() for one in flood)
        most = PROBE_RATE * (1 + time.monotonic() - begun)
        answers = await asyncio.gather(*flood)
        took = time.monotonic() - begun
    assert at_full_speed <= most + 1
    assert network_of(GENUINE) not in delayed
    assert took >= pause
    # Nor is one refused: behind one address there may be the orchestrator as well.
    assert {answer.status_code for answer in answers} == {200}


async def test_a_flood_of_readiness_probes_never_costs_more_than_one_check_a_second(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = await house_with(house)
    checks, usual = 0, type(house.dependencies.database).ping

    async def count(self: Any) -> None:
        nonlocal checks
        checks += 1
        await usual(self)

    monkeypatch.setattr(type(house.dependencies.database), "ping", count)
    begun = time.monotonic()
    async with AsyncExitStack() as held:
        probes = []
        for number in range(20):
            probe = await held.enter_async_context(caller(limited.app, f"198.51.{number}.1"))
            probes += [probe.get("/readyz") for _ in range(5)]
        answers = await asyncio.gather(*probes)
    assert all(answer.json()["database"] for answer in answers)
    assert checks <= 1 + (time.monotonic() - begun)


async def test_probes_of_one_address_never_wait_without_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rates, "MOST_WAITING_OF_ONE", 5)
    probes = Probes(Waiting())
    waits = [probes.admit("198.51.100.7") for _ in range(60)]
    done = await asyncio.gather(*waits, return_exceptions=True)
    assert sum(outcome is None for outcome in done) <= PROBE_RATE + 6
    await probes.admit(GENUINE)


async def _visit(visitors: Visitors, peer: str) -> bool:
    try:
        async with visitors.visit(peer) as visit, visitors.serve(visit):
            return True
    except NoPlace:
        return False


async def test_many_addresses_together_are_never_served_faster_than_two_peers(
    settings: Settings,
) -> None:
    visitors = Visitors(settings.model_copy(update={"peer_rate": 5}), Waiting())
    begun = time.monotonic()
    peers = [f"198.51.{number}.1" for number in range(200)]
    served = sum(await asyncio.gather(*(_visit(visitors, peer) for peer in peers)))
    took = time.monotonic() - begun
    assert 10 <= served <= 2 * 5 * (1 + took) + 1


async def test_peers_beyond_their_own_rate_never_use_up_what_others_share(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Longer than this machine may stand still.
    monkeypatch.setattr(rates, "PAUSE_SECONDS", 2.0)
    visitors = Visitors(
        settings.model_copy(update={"peer_rate": 5, "peer_concurrency": 40}), Waiting()
    )
    flood = []
    for number in range(30):
        # What a forged notification costs: nothing is left of the bucket.
        await visitors.failed(f"198.51.{number}.1")
        flood += [asyncio.create_task(_visit(visitors, f"198.51.{number}.1")) for _ in range(10)]
    begun = time.monotonic()
    while not all(one.done() for one in flood):
        assert await _visit(visitors, f"203.0.113.{int((time.monotonic() - begun) * 100)}")
        await asyncio.sleep(PAUSE)
    took = time.monotonic() - begun
    assert sum(one.result() for one in flood) <= 5 * (1 + took) + 1


async def test_fresh_addresses_never_take_the_share_of_a_proven_provider(
    settings: Settings, delayed: list[str]
) -> None:
    visitors = Visitors(settings.model_copy(update={"peer_rate": 5}), Waiting())
    visitors.proved(GENUINE)
    flood = [asyncio.create_task(_visit(visitors, f"198.51.{n}.1")) for n in range(200)]
    await _turns()
    assert await _visit(visitors, GENUINE)
    assert network_of(GENUINE) not in delayed
    assert not all(await asyncio.gather(*flood))


@pytest.mark.parametrize("how", ["repeated", "failed"])
async def test_who_repeats_one_genuine_message_never_keeps_the_share_of_providers(
    settings: Settings, how: str
) -> None:
    visitors = Visitors(settings.model_copy(update={"peer_rate": 5}), Waiting())
    repeating = [f"198.51.{number}.1" for number in range(30)]
    for peer in repeating:
        visitors.proved(peer)
        for _ in range(MOST_REPEATS if how == "repeated" else 1):
            await getattr(visitors, how)(peer)
    visitors.proved(GENUINE)

    flood = [asyncio.create_task(_visit(visitors, peer)) for peer in repeating for _ in range(5)]
    await _turns()
    assert await _visit(visitors, GENUINE)
    await asyncio.gather(*flood)


async def test_a_provider_that_repeats_now_and_then_stays_known(settings: Settings) -> None:
    visitors = Visitors(settings.model_copy(update={"peer_rate": 5}), Waiting())
    for _ in range(3):
        visitors.proved(GENUINE)
        for _ in range(MOST_REPEATS - 1):
            await visitors.repeated(GENUINE)
    flood = [asyncio.create_task(_visit(visitors, f"198.51.{n}.1")) for n in range(200)]
    await _turns()
    assert await _visit(visitors, GENUINE)
    assert not all(await asyncio.gather(*flood))


async def test_forged_notifications_of_fresh_addresses_never_refuse_a_known_providers(
    house: House,
) -> None:
    limited = await house_with(house, peer_rate=5, peer_concurrency=8)
    payment = await (await limited.shop()).pending()
    await limited.provider.pay(payment)
    with limited.takes_notifications():
        assert (await limited.provider.notify(payment))["accepted"]
        async with AsyncExitStack() as held:
            flood = []
            for number in range(200):
                stranger = await held.enter_async_context(caller(limited.app, f"198.51.{number}.1"))
                forged = stranger.post("/notify/alipay/main", content=b"x")
                flood.append(asyncio.create_task(forged))
            await asyncio.wait(flood, return_when=asyncio.FIRST_COMPLETED)
            assert (await limited.provider.notify(payment))["accepted"]
            statuses = {answer.status_code for answer in await asyncio.gather(*flood)}
    assert statuses == {400, 429}


async def test_a_flood_on_open_routes_never_refuses_or_delays_a_merchant_a_payer_or_a_probe(
    house: House, delayed: list[str]
) -> None:
    limited = await house_with(house, peer_rate=1, peer_concurrency=2)
    shop = await limited.shop()
    returning = "/return/alipay/main"
    async with AsyncExitStack() as held:
        flood = []
        for number in range(30):
            stranger = await held.enter_async_context(caller(limited.app, f"198.51.{number}.1"))
            flood += [asyncio.create_task(stranger.get("/openapi.json")) for _ in range(2)]
        await asyncio.wait(flood, return_when=asyncio.FIRST_COMPLETED)
        assert (await shop.http.get("/v1/payments")).status_code == 200
        payer = await held.enter_async_context(caller(limited.app, GENUINE))
        # It names no payment.
        assert (await payer.get(returning)).status_code == 400
        assert (await payer.get("/readyz")).json()["database"]
        statuses = {answer.status_code for answer in await asyncio.gather(*flood)}
    assert statuses == {200, 429}
    assert {shop.merchant.id, network_of(GENUINE)}.isdisjoint(delayed)


async def test_the_document_is_never_rendered_twice(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = (await house_with(house)).app
    rendered, usual = 0, app.openapi

    def count() -> dict[str, Any]:
        nonlocal rendered
        rendered += 1
        return usual()

    monkeypatch.setattr(app, "openapi", count)
    async with caller(app, GENUINE) as stranger:
        answers = [await stranger.get("/openapi.json") for _ in range(5)]
    assert rendered == 1
    assert {answer.status_code for answer in answers} == {200}
    assert all(answer.json() == usual() for answer in answers)


async def test_one_merchants_connections_never_refuse_anothers_burst(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A create may take longer than the other tests' pause.
    monkeypatch.setattr(rates, "PAUSE_SECONDS", 2.0)
    monkeypatch.setattr(rates, "MOST_WAITING", 40)
    monkeypatch.setattr(rates, "MOST_WAITING_OF_ONE", 30)
    limited = await house_with(house, create_rate=4, create_concurrency=2)
    flooding, quiet = await limited.shop(), await limited.shop()
    flood = [asyncio.create_task(flooding.create(order())) for _ in range(60)]
    await asyncio.wait(flood, return_when=asyncio.FIRST_COMPLETED)

    burst: list[httpx.Response] = await asyncio.gather(*(quiet.create(order()) for _ in range(4)))

    assert [answer.status_code for answer in burst] == [201] * 4
    answers = await asyncio.gather(*flood)
    refused = [answer for answer in answers if answer.status_code == 429]
    closed = [answer for answer in refused if answer.headers.get("connection") == "close"]
    assert 1 <= len(closed) < len(refused)
    assert all(answer.headers["retry-after"] == "1" for answer in closed)


async def test_who_has_most_waiting_never_keeps_others_from_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rates, "MOST_WAITING", 10)
    waiting = Waiting()
    greatest = [asyncio.create_task(waiting.pause("greatest")) for _ in range(12)]
    await _turns()
    others = [asyncio.create_task(waiting.pause(f"other-{number}")) for number in range(4)]
    outcomes = await asyncio.gather(*greatest, *others, return_exceptions=True)
    refused = [isinstance(outcome, NoPlace) for outcome in outcomes]
    # The last two at their arrival, the first four for the others.
    assert refused == [True] * 4 + [False] * 6 + [True] * 2 + [False] * 4
    async with AsyncExitStack() as all_left:
        for number in range(10):
            await all_left.enter_async_context(waiting.limited(f"next-{number}"))


async def test_more_connections_never_bring_more_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "WAITING_AT_USUAL_PAUSE", 10)
    waiting = Waiting()
    ended: dict[str, list[float]] = {}

    async def pause(key: str) -> None:
        begun = time.monotonic()
        await waiting.pause(key)
        ended.setdefault(key, []).append(time.monotonic() - begun)

    await asyncio.gather(*(pause("many") for _ in range(40)), pause("few"))
    # The fortieth waits four times as long.
    assert sum(seconds < 1.5 * PAUSE for seconds in ended["many"]) <= 15
    assert max(ended["many"]) >= 3.9 * PAUSE
    assert max(ended["few"]) < max(ended["many"])


async def test_more_addresses_never_bring_more_answers() -> None:
    waiting = Waiting(usual=10)
    begun = time.monotonic()
    await asyncio.gather(*(waiting.pause(f"peer-{number}") for number in range(40)))
    assert time.monotonic() - begun >= 3.9 * PAUSE
