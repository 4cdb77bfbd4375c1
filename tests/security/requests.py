"""Requests at the level of ASGI: what arrives bit by bit, and from which address."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
from fastapi import FastAPI
from starlette.types import Message

from api.http.metrics import Metrics
from api.payments.eager_start import EagerStart
from tests.api.house import ORIGIN, House, running

CHUNK = 1024


@dataclass
class Unfinished:
    """A request whose body stops after `sends` bytes; `read` says how many were taken."""

    path: str
    sends: int
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=dict)
    peer: str = "198.51.100.7"
    read: int = 0
    messages: list[Message] = field(default_factory=list)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def code(self) -> str:
        body = b"".join(message.get("body", b"") for message in self.messages)
        return str(json.loads(body)["code"])

    async def receive(self) -> Message:
        if self.read >= self.sends:
            self.stopped.set()
            await asyncio.Event().wait()
        part = min(CHUNK, self.sends - self.read)
        self.read += part
        return {"type": "http.request", "body": b"x" * part, "more_body": True}

    async def send(self, message: Message) -> None:
        self.messages.append(message)

    async def to(self, app: FastAPI) -> None:
        """Have the application answer it."""
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": self.path,
            "raw_path": self.path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(k.lower().encode(), v.encode()) for k, v in self.headers.items()],
            "client": (self.peer, 50000),
            "server": ("paysaga.test", 80),
        }
        await app(scope, self.receive, self.send)


@asynccontextmanager
async def caller(
    app: FastAPI, peer: str, key: str | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """A client at this address, with this API key."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(peer, 50000))
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with httpx.AsyncClient(
        transport=transport, base_url=ORIGIN, headers=headers, timeout=30
    ) as client:
        yield client


async def house_with(house: House, **settings: Any) -> House:
    """The same database, Temporal and providers behind an API with these settings."""
    dependencies = replace(
        house.dependencies,
        settings=house.dependencies.settings.model_copy(update=settings),
        metrics=Metrics(),
        eager=EagerStart(),
    )
    return House(await running(dependencies), dependencies, house.provider, house.door)
