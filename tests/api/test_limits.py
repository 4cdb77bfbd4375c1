import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from api.http import limits
from domain.errors import PaymentError
from storage.database import DatabaseUnavailable
from tests.api.house import House, Shop, running
from tests.security.requests import CHUNK, Unfinished


async def _never(*_: Any, **__: Any) -> Any:
    await asyncio.Event().wait()


@pytest.fixture
async def app(house: House) -> FastAPI:
    return await running(replace(house.dependencies))


async def test_a_body_that_breaks_off_reaches_no_route(app: FastAPI) -> None:
    class Gone(Unfinished):
        async def receive(self) -> Any:
            return {"type": "http.disconnect"}

    request = Gone("/notify/alipay/main", sends=0)
    await request.to(app)
    assert (request.status, request.code) == (408, "body_incomplete")


async def test_a_body_that_grows_over_the_limit_is_read_no_further(app: FastAPI) -> None:
    request = Unfinished("/notify/alipay/main", sends=1024 * 1024)
    await request.to(app)
    assert (request.status, request.code) == (413, "body_too_large")
    assert request.read == 64 * 1024 + CHUNK


async def test_a_declared_size_over_the_limit_is_refused_unread(app: FastAPI) -> None:
    request = Unfinished("/notify/alipay/main", sends=70000, headers={"Content-Length": "70000"})
    await request.to(app)
    assert (request.status, request.code) == (413, "body_too_large")
    assert request.read == 0


async def test_an_answer_that_takes_too_long_says_try_again(
    shop: Shop, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "REQUEST_SECONDS", 0.05)
    monkeypatch.setattr(type(house.dependencies.stores.payments), "list_for_merchant", _never)
    answer = await shop.http.get("/v1/payments")
    assert (answer.status_code, answer.json()["code"]) == (503, "timed_out")


async def test_an_answer_that_stalls_half_way_is_broken_off(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    @app.get("/stalls")
    async def stalls() -> Any:
        async def half() -> AsyncIterator[bytes]:
            yield b"half"
            await _never()

        return StreamingResponse(half())

    monkeypatch.setattr(limits, "REQUEST_SECONDS", 0.05)
    request = Unfinished("/stalls", sends=0, method="GET")
    with pytest.raises(TimeoutError):
        await request.to(app)
    assert request.messages[1]["body"] == b"half"
    assert len(request.messages) == 2


@pytest.mark.parametrize(
    ("lookup", "code"),
    [(_never, "timed_out"), (DatabaseUnavailable("away"), "database_unavailable")],
)
async def test_a_key_that_cannot_be_looked_up_is_not_wrong(
    house: House, monkeypatch: pytest.MonkeyPatch, lookup: Any, code: str
) -> None:
    shop = await house.shop()

    async def authenticate(*_: object) -> None:
        if isinstance(lookup, PaymentError):
            raise lookup
        await lookup()

    monkeypatch.setattr(type(house.dependencies.stores.keys), "authenticate", authenticate)
    monkeypatch.setattr(limits, "AUTHENTICATION_SECONDS", 0.05)
    answer = await shop.http.get("/v1/payments")
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["retryable"]) == (503, code, True)


async def test_every_answer_has_a_request_id_of_its_own(shop: Shop, house: House) -> None:
    answers: list[httpx.Response] = [
        await shop.http.get("/v1/payments"),
        await shop.http.get("/nowhere"),
        await shop.http.get("/v1/payments", headers={"X-Request-Id": "mine"}),
    ]
    ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(ids) == 3
    assert "mine" not in ids
