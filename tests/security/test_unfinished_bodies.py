import asyncio
from typing import Any

import pytest
from starlette.types import Scope

from api.http import bodies
from api.http.bodies import REQUEST_BYTES, Bodies
from api.http.peers import network_of
from api.http.problems import ApiProblem
from api.http.route_classes import LARGEST_BODY
from tests.api.house import House
from tests.security.requests import Unfinished, caller, house_with

NOTIFY = "/notify/alipay/main"
GENUINE = "203.0.113.9"
BODILESS: Scope = {"headers": []}


async def _turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def _stop(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_slow_bodies_of_many_addresses_never_refuse_or_delay_a_notification(
    house: House, monkeypatch: pytest.MonkeyPatch, delayed: list[str]
) -> None:
    monkeypatch.setattr(bodies, "VISITORS_BODY_SECONDS", 5.0)
    limited = await house_with(house, peer_concurrency=4)
    slow = [Unfinished(NOTIFY, sends=1, peer=f"198.51.100.{number % 8}") for number in range(8 * 4)]
    sending = [asyncio.create_task(request.to(limited.app)) for request in slow]
    await asyncio.wait([asyncio.create_task(request.stopped.wait()) for request in slow], timeout=2)

    async with caller(limited.app, GENUINE) as provider:
        answer = await provider.post(NOTIFY, content=b"x")

    # It reached the route, which finds no signature.
    assert answer.status_code == 400, answer.text
    assert network_of(GENUINE) not in delayed
    assert not any(request.messages for request in slow)
    await _stop(sending)


def _sending(held: Bodies, sender: str, sends: int) -> asyncio.Task[Any]:
    async def send() -> str:
        request = Unfinished("/", sends=sends)
        try:
            async with held.body(
                BODILESS, request.receive, largest=LARGEST_BODY, seconds=5, sender=sender
            ):
                raise AssertionError("it never ends")
        except ApiProblem as refusal:
            return refusal.code

    return asyncio.create_task(send())


async def _whole(held: Bodies, sender: str, content: bytes) -> bytes:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content, "more_body": False}

    async with held.body(BODILESS, receive, largest=LARGEST_BODY, seconds=5, sender=sender) as body:
        return held.answer(body)


@pytest.mark.parametrize(
    ("addresses", "sends"), [(40, LARGEST_BODY), (400, 1), (40, 0)], ids=["large", "many", "empty"]
)
async def test_unfinished_bodies_of_many_addresses_never_keep_a_whole_one_out(
    addresses: int, sends: int
) -> None:
    most = 10 * (LARGEST_BODY + REQUEST_BYTES)
    held = Bodies(most, share=most)
    slow = [_sending(held, f"198.51.{number}", sends) for number in range(addresses)]
    await _turns(100)
    genuine = await asyncio.gather(*(_whole(held, GENUINE, b"x" * 2000) for _ in range(20)))
    assert genuine == [b"x" * 2000] * 20
    await _turns()
    ended = [task.result() for task in slow if task.done()]
    assert set(ended) <= {"overloaded"}
    assert sum(not task.done() for task in slow) <= most // (REQUEST_BYTES + sends)
    await _stop(slow)


async def test_an_address_with_many_unfinished_bodies_never_ends_anothers() -> None:
    held = Bodies(8 * (LARGEST_BODY + REQUEST_BYTES))
    few = _sending(held, GENUINE, LARGEST_BODY)
    await _turns(100)
    many = [_sending(held, "198.51.100.7", LARGEST_BODY) for _ in range(40)]
    await _turns(100)
    assert not few.done()
    assert sum(not task.done() for task in many) <= 7
    await _stop([few, *many])


async def test_whole_bodies_that_wait_never_keep_another_out_and_an_answered_one_never_ends() -> (
    None
):
    held = Bodies(4 * LARGEST_BODY)
    ended, answered, release = [], [], asyncio.Event()

    async def wait(sender: str, *, is_answered: bool) -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"x" * 60_000, "more_body": False}

        try:
            async with held.body(
                BODILESS, receive, largest=LARGEST_BODY, seconds=5, sender=sender
            ) as body:
                if is_answered:
                    answered.append(held.answer(body))
                await release.wait()
        except ApiProblem as refusal:
            ended.append((sender, refusal.code))

    first = asyncio.create_task(wait("first", is_answered=True))
    await _turns()
    waiting = [asyncio.create_task(wait("greatest", is_answered=False)) for _ in range(3)]
    await _turns()
    assert await _whole(held, GENUINE, b"x" * 60_000)
    await _turns()
    assert ended == [("greatest", "overloaded")]
    release.set()
    await asyncio.gather(first, *waiting)
    assert await _whole(held, GENUINE, b"x" * 60_000)
    assert len(answered) == 1


async def test_a_subscribers_addresses_never_hold_more_than_one_peers_bodies(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "PEER_BODIES", 3 * (LARGEST_BODY + REQUEST_BYTES))
    monkeypatch.setattr(bodies, "VISITORS_BODY_SECONDS", 1.0)
    app = (await house_with(house)).app
    slow = [Unfinished(NOTIFY, sends=LARGEST_BODY, peer=f"2001:db8::{n:x}") for n in range(10)]
    await asyncio.gather(*(request.to(app) for request in slow))
    codes = [request.code for request in slow]
    assert codes.count("body_incomplete") <= 3
    assert set(codes) == {"body_incomplete", "overloaded"}
