"""A merchant's host whose name server is silent never delays the look-ups of others."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from webhooks.resolving import HostResolver

SILENT, HONEST = "b.slow.test", "hooks.a.test"
FOUND = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("203.0.113.7", 443))]


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The hosts that the system's resolver was asked for; one name server answers at the end."""
    asked: list[str] = []
    answers = threading.Event()

    def getaddrinfo(host: str, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        if host == SILENT:
            answers.wait(30)
            raise socket.gaierror("no answer")
        return FOUND

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield asked
    answers.set()


async def test_a_silent_name_server_never_holds_more_than_one_thread(lookups: list[str]) -> None:
    resolver = HostResolver()
    for _ in range(100):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await resolver(SILENT, 443)

    assert lookups == [SILENT]
    async with asyncio.timeout(5):
        assert await resolver(HONEST, 443) == ["203.0.113.7"]
        # asyncio's own threads, where providers' names are looked up.
        await asyncio.gather(
            *(asyncio.get_running_loop().getaddrinfo(HONEST, 443) for _ in range(50))
        )


async def test_a_host_is_looked_up_anew_for_each_attempt(lookups: list[str]) -> None:
    resolver = HostResolver()

    await resolver(HONEST, 443)
    await resolver(HONEST, 443)

    assert lookups == [HONEST, HONEST]
