import asyncio
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.http import key_cache, rates
from api.http.failed_authentication import described
from api.http.key_cache import KeyCache
from domain.merchant import Merchant
from engine.logs import JsonLines
from tests.api.house import House
from tests.security.requests import caller, house_with

PAUSE = 0.2
STRANGER = "198.51.100.7"
WRONG = "psk_" + "wrong-key" * 5
METRIC = 'paysaga_failed_authentications_total{credential="%s"} %d.0'


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "PAUSE_SECONDS", PAUSE)
    monkeypatch.setattr(rates, "PAUSE_SPREAD", (1.0, 1.0))


@pytest.fixture
async def limited(house: House) -> House:
    return await house_with(house, peer_rate=50, peer_concurrency=4)


def _lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if "failed authentication" in r.getMessage()]


async def _metrics(limited: House, token: str | None = None) -> str:
    async with caller(limited.app, "192.0.2.1", token) as operator:
        return (await operator.get("/metrics")).text


async def test_wrong_keys_are_never_tried_at_full_speed(limited: House) -> None:
    tried = 0

    async def guess(until: float) -> None:
        nonlocal tried
        async with caller(limited.app, STRANGER, f"{WRONG}{tried}") as guesser:
            while time.monotonic() < until:
                answer = await guesser.get("/v1/payments")
                tried += answer.status_code == 401
                assert answer.status_code in (401, 429)

    seconds = 1.0
    await asyncio.gather(*(guess(time.monotonic() + seconds) for _ in range(60)))
    # Two at once and two a second by the bucket, then four at a time with a pause each.
    assert tried <= 4 + 4 * (seconds + 2 * PAUSE) / PAUSE


async def test_a_failure_is_never_unlogged_and_the_key_is_never_in_the_log(
    limited: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with caller(limited.app, STRANGER, WRONG) as guesser:
        answer = await guesser.get("/v1/payments")
    assert answer.status_code == 401
    [line] = _lines(caplog)
    assert STRANGER in line
    assert "psk_wrong-ke…" in line
    assert WRONG not in caplog.text
    assert METRIC % ("api_key", 1) in await _metrics(limited)


async def test_a_flood_of_wrong_keys_never_floods_the_log(
    limited: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for number in range(30):
        async with caller(limited.app, f"198.51.100.{number}", WRONG) as guesser:
            await guesser.get("/v1/payments")
            await guesser.get("/v1/payments")
    assert 5 <= len(_lines(caplog)) <= 15
    assert METRIC % ("api_key", 60) in await _metrics(limited)


@pytest.mark.parametrize(
    "key", ["hunter2", "psk_short", "sk_live_another-companys-secret-key", "psk_" + "x\n" * 40]
)
def test_what_is_no_key_of_ours_is_never_in_the_log(key: str) -> None:
    assert described(key) == "not an API key of ours"
    assert described(None) == "no API key"


async def test_no_part_of_an_operator_token_is_ever_in_the_log(
    house: House, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    token = tmp_path / "operator_token"
    token.write_text("operators-own-token")
    closed = await house_with(house, mode="production", operator_token_file=token)
    wrong = "operators-own-tokem"
    async with caller(closed.app, STRANGER, wrong) as stranger:
        answer = await stranger.post("/ops/codec/decode", json={"payloads": []})
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert STRANGER in _lines(caplog)[0]
    assert "operators-own" not in caplog.text
    assert METRIC % ("operator_token", 1) in await _metrics(closed, "operators-own-token")
    async with caller(closed.app, STRANGER, "operators-own-token") as operator:
        answer = await operator.post("/ops/codec/decode", json={"payloads": []})
    assert answer.status_code == 200


async def test_sales_and_accounts_are_never_counted_for_strangers(
    house: House, tmp_path: Path
) -> None:
    token = tmp_path / "operator_token"
    token.write_text("operators-own-token")
    closed = await house_with(house, mode="production", operator_token_file=token)
    async with caller(closed.app, STRANGER) as stranger:
        answer = await stranger.get("/metrics")
    assert answer.status_code == 401
    assert "paysaga_" not in answer.text
    assert "paysaga_" in await _metrics(closed, "operators-own-token")


async def test_a_stranger_at_the_same_address_never_slows_down_a_known_merchant(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_cache, "KEY_SECONDS", 0)
    monkeypatch.setattr(rates, "PAUSE_SECONDS", 3.0)
    limited = await house_with(house, peer_rate=1, peer_concurrency=1)
    key = await limited.dependencies.stores.keys.create((await house.shop()).merchant.id, "k")
    async with (
        caller(limited.app, STRANGER, key) as merchant,
        caller(limited.app, STRANGER, WRONG) as guesser,
    ):
        assert (await merchant.get("/v1/payments")).status_code == 200
        flood = [asyncio.create_task(guesser.get("/v1/payments")) for _ in range(5)]
        await asyncio.sleep(0)
        assert (await merchant.get("/v1/payments")).status_code == 200
        assert not all(guess.done() for guess in flood)
        await asyncio.gather(*flood)


class Keys:
    """One key in a database, and a clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.merchant: Merchant | None = Merchant(id="m", name="M")
        self.lookups = 0
        self.waits: Callable[[], Any] | None = None

    def clock(self) -> float:
        return self.now

    async def authenticate(self, _key: str) -> Merchant | None:
        self.lookups += 1
        if self.waits:
            await self.waits()
        return self.merchant


async def test_a_revoked_key_never_works_for_longer_than_five_seconds() -> None:
    keys = Keys()
    cache = KeyCache(keys.clock)
    assert await cache.find("k", keys.authenticate)
    keys.merchant = None
    keys.now = 4.9
    assert cache.fresh("k")
    keys.now = 5.0
    assert cache.fresh("k") is None
    assert cache.is_familiar("k")
    assert await cache.find("k", keys.authenticate) is None
    assert not cache.is_familiar("k")


async def test_one_key_is_never_looked_up_twice_at_the_same_time() -> None:
    keys, go_on = Keys(), asyncio.Event()
    keys.waits = go_on.wait
    cache = KeyCache(keys.clock)
    asking = [asyncio.create_task(cache.find("k", keys.authenticate)) for _ in range(60)]
    await asyncio.sleep(0)
    asking[0].cancel()
    go_on.set()
    _, *found = await asyncio.gather(*asking, return_exceptions=True)
    assert found == [keys.merchant] * 59
    assert keys.lookups == 1


async def test_strangers_keys_never_take_more_than_four_connections_of_the_pool() -> None:
    keys, go_on = Keys(), asyncio.Event()
    keys.waits = go_on.wait
    cache = KeyCache(keys.clock)
    asking = [asyncio.create_task(cache.find(f"k{n}", keys.authenticate)) for n in range(60)]
    for _ in range(3):
        await asyncio.sleep(0)
    assert keys.lookups == key_cache.MOST_LOOKUPS
    go_on.set()
    await asyncio.gather(*asking)


async def test_what_is_kept_of_keys_never_grows_without_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(key_cache, "MOST_KEYS", 10)
    keys = Keys()
    cache = KeyCache(keys.clock)
    for number in range(100):
        await cache.find(f"k{number}", keys.authenticate)
    assert sum(cache.is_familiar(f"k{number}") for number in range(100)) == 10
    keys.merchant = None
    await cache.find("wrong", keys.authenticate)
    assert not cache.is_familiar("wrong")


async def test_a_line_of_a_request_is_never_without_its_time_peer_and_ids(
    limited: House, capture: list[dict[str, Any]]
) -> None:
    payment = "6f1c7d0e-54b5-4f0a-9a55-0d3c5f1f2b7e"
    async with caller(limited.app, STRANGER, WRONG) as guesser:
        answer = await guesser.get(f"/v1/payments/{payment}")
    [line] = [line for line in capture if "failed authentication" in line["message"]]
    assert line["peer"] == STRANGER
    assert line["request_id"] == answer.headers["x-request-id"]
    assert line["payment_id"] == payment
    assert line["level"] == "warning"
    assert line["logger"] == "api.http.failed_authentication"
    assert line["time"].endswith("Z")


async def test_a_merchants_line_is_never_without_the_merchant(
    limited: House, capture: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = await limited.shop()

    def broken(*_: object, **__: object) -> None:
        logging.getLogger("api.events").warning("about\nto break")
        raise ZeroDivisionError

    monkeypatch.setattr(type(limited.dependencies.stores.events), "list_for_merchant", broken)
    answer = await shop.http.get("/v1/events")
    assert answer.status_code == 500
    [line] = [line for line in capture if line["message"] == "about\nto break"]
    assert line["merchant_id"] == shop.merchant.id
    assert line["request_id"] == answer.headers["x-request-id"]


@pytest.fixture
def capture() -> Any:
    """The lines as this process would write them."""
    lines: list[dict[str, Any]] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            rendered = self.format(record)
            assert "\n" not in rendered
            lines.append(json.loads(rendered))

    handler = Keeping()
    handler.setFormatter(JsonLines())
    logging.getLogger().addHandler(handler)
    yield lines
    logging.getLogger().removeHandler(handler)
