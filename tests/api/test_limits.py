import asyncio
import json
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from api import limits


class Sent:
    """What the middleware answered."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def code(self) -> str:
        return str(json.loads(self.messages[1]["body"])["code"])


SCOPE: Scope = {"type": "http", "path": "/v1/payments", "method": "POST", "headers": []}


async def _empty() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _never(*_: Any) -> Any:
    await asyncio.Event().wait()


async def test_a_body_that_never_comes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_SECONDS", 0.01)
    sent = Sent()
    await limits.Limited(_never, larger={})(SCOPE, _never, sent)
    assert (sent.status, sent.code) == (408, "body_incomplete")


async def test_a_body_that_breaks_off_reaches_no_route() -> None:
    async def gone() -> Message:
        return {"type": "http.disconnect"}

    sent = Sent()
    await limits.Limited(_never, larger={})(SCOPE, gone, sent)
    assert (sent.status, sent.code) == (408, "body_incomplete")


async def test_an_answer_that_takes_too_long_says_try_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "REQUEST_SECONDS", 0.01)
    sent = Sent()
    await limits.Limited(_never, larger={})(SCOPE, _empty, sent)
    assert (sent.status, sent.code) == (503, "timed_out")


async def test_an_answer_that_stalls_half_way_is_broken_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def stalls(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await _never()

    monkeypatch.setattr(limits, "REQUEST_SECONDS", 0.01)
    sent = Sent()
    with pytest.raises(TimeoutError):
        await limits.Limited(stalls, larger={})(SCOPE, _empty, sent)
    assert len(sent.messages) == 1


async def test_a_declared_size_over_the_limit_is_refused_unread() -> None:
    scope = {**SCOPE, "headers": [(b"content-length", b"70000")]}
    sent = Sent()
    await limits.Limited(_never, larger={})(scope, _never, sent)
    assert (sent.status, sent.code) == (413, "body_too_large")


async def test_a_route_reads_the_whole_body_and_then_waits_for_the_end() -> None:
    chunks: list[Message] = [
        {"type": "http.request", "body": b"a" * 40000, "more_body": True},
        {"type": "http.request", "body": b"b" * 40000, "more_body": False},
        {"type": "http.disconnect"},
    ]
    seen: list[Message] = []

    async def receive() -> Message:
        return chunks.pop(0)

    async def route(_scope: Scope, read: Receive, _send: Send) -> None:
        seen.extend([await read(), await read()])

    await limits.Limited(route, larger={"/v1": 100000})(SCOPE, receive, Sent())
    assert seen[0]["body"] == b"a" * 40000 + b"b" * 40000
    assert seen[1]["type"] == "http.disconnect"
