"""What is costly to parse, or to answer, is never parsed, nor answered at an ordinary price."""

import asyncio
import json

import pytest
from starlette.types import Message

from api.http import rates
from api.http.admission import BYTES_PER_TOKEN, MerchantLimits
from api.http.limits import LARGE_ANSWER
from api.http.peers import network_of
from api.http.problems import ApiProblem
from api.http.rates import Waiting
from api.http.route_classes import RouteClass
from api.http.shapes import MOST_FIELDS, check_body, check_query
from tests.api.house import House, order
from tests.security.requests import Unfinished, caller, house_with

PAUSE = 0.05
MANY_PAIRS = "&".join(f"k{n}=1" for n in range(8_000)).encode()


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "PAUSE_SECONDS", PAUSE)
    monkeypatch.setattr(rates, "PAUSE_SPREAD", (1.0, 1.0))


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (RouteClass.NOTIFY, MANY_PAIRS),
        (RouteClass.RETURN, MANY_PAIRS),
        (RouteClass.COMMAND, json.dumps([{"a": {}}] * 100_000).encode()),
        (RouteClass.COMMAND, json.dumps([1] * 300_000).encode()),
        (RouteClass.CREATE, b"[" * 60_000),
    ],
    ids=["notification", "return", "objects", "numbers", "brackets"],
)
def test_a_body_of_very_many_parts_is_never_parsed(kind: RouteClass, body: bytes) -> None:
    with pytest.raises(ApiProblem) as refused:
        check_body(kind, body)

    assert refused.value.status == 422


def test_a_query_of_very_many_fields_is_never_parsed() -> None:
    with pytest.raises(ApiProblem):
        check_query(MANY_PAIRS)
    check_query(b"&".join([b"a=1"] * MOST_FIELDS))


def test_the_richest_genuine_bodies_are_taken() -> None:
    restored = {"signed_transactions": ["e" * 20_000] * 50}
    quoted = order(metadata={f"n{n}": json.dumps({"a": [1, 2, {}]}) * 3 for n in range(20)})
    check_body(RouteClass.COMMAND, json.dumps(restored).encode())
    check_body(RouteClass.CREATE, json.dumps(quoted).encode())
    check_body(RouteClass.NOTIFY, b"&".join([b"field=value"] * 60))
    check_body(RouteClass.OPERATOR, json.dumps([{}] * 100_000).encode())


@pytest.mark.parametrize("path", ["/notify/unionpay/main", "/return/unionpay/main"])
async def test_a_form_of_very_many_fields_is_refused_with_a_reason(house: House, path: str) -> None:
    limited = await house_with(house)
    async with caller(limited.app, "198.51.100.7") as stranger:
        answer = await stranger.post(path, content=MANY_PAIRS)

    assert answer.status_code == 422
    assert "too many fields" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/docs"), ("POST", "/notify/alipay/main"), ("GET", "/nowhere")],
)
async def test_queries_of_very_many_fields_never_cost_less_than_other_failures(
    house: House, delayed: list[str], method: str, path: str
) -> None:
    # What a failure costs does not come back while the requests are answered.
    limited = await house_with(house, peer_rate=10, peer_concurrency=4)
    async with caller(limited.app, "198.51.100.7") as stranger:
        for _ in range(4):
            answer = await stranger.request(method, f"{path}?{MANY_PAIRS.decode()}")
            assert answer.status_code in {422, 429}
    assert network_of("198.51.100.7") in delayed


async def test_very_many_wrong_values_are_one_mistake(house: House) -> None:
    shop = await (await house_with(house)).shop()
    answer = await shop.create(order(metadata={f"n{n}": 7 for n in range(3_000)}))

    assert answer.status_code == 422
    assert "at most 20 keys" in answer.json()["detail"]


async def test_large_requests_never_cost_as_little_as_small_ones(house: House) -> None:
    settings = house.dependencies.settings.model_copy(update={"read_rate": 2})
    limits = MerchantLimits(settings, Waiting())
    async with limits.admit("large", RouteClass.READ), limits.admit("small", RouteClass.READ):
        await limits.charge("large", RouteClass.READ, 10 * BYTES_PER_TOKEN)
        await limits.charge("small", RouteClass.READ, BYTES_PER_TOKEN - 1)

    async with limits.admit("small", RouteClass.READ):
        pass
    with pytest.raises(ApiProblem) as refused:
        async with limits.admit("large", RouteClass.READ):
            pass
    assert refused.value.code == "rate_limit_exceeded"


async def test_an_answer_that_is_not_read_never_gives_its_place_to_the_next(house: House) -> None:
    limited = await house_with(house, peer_concurrency=1)
    peer = "198.51.100.7"
    unread = Unfinished("/openapi.json", 0, method="GET", peer=peer)
    let_go, size = asyncio.Event(), 0

    async def send(message: Message) -> None:
        """As the server does: what follows a large part waits until that is read."""
        nonlocal size
        if size > LARGE_ANSWER:
            unread.stopped.set()
            await let_go.wait()
        size += len(message.get("body", b""))

    unread.send = send  # type: ignore[method-assign]
    answering = asyncio.create_task(unread.to(limited.app))
    await asyncio.wait_for(unread.stopped.wait(), 10)
    async with caller(limited.app, peer) as same, caller(limited.app, "198.51.100.8") as other:
        assert (await same.get("/openapi.json")).status_code == 429
        assert (await other.get("/openapi.json")).status_code == 200
        let_go.set()
        await answering
        assert (await same.get("/openapi.json")).status_code == 200
