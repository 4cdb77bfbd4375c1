import asyncio
from collections.abc import Callable
from urllib.parse import parse_qsl

import httpx

Answer = Callable[[httpx.Request], httpx.Response]


class Receiver(httpx.AsyncBaseTransport):
    """Stands where the seller's notify address is: keeps every request, answers as told."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Start again, for another test."""
        self.requests: list[httpx.Request] = []
        self.answers: list[httpx.Response] = []
        self.default = b"success"
        self._arrived = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        self._arrived.set()
        if self.answers:
            return self.answers.pop(0)
        return httpx.Response(200, content=self.default)

    async def wait_for(self, count: int) -> list[httpx.Request]:
        """Return once `count` requests have arrived."""
        async with asyncio.timeout(10):
            while len(self.requests) < count:
                self._arrived.clear()
                await self._arrived.wait()
        return self.requests

    async def form(self, number: int = 1) -> dict[str, str]:
        """The decoded form of the `number`th request, counted from 1."""
        request = (await self.wait_for(number))[number - 1]
        return dict(parse_qsl(request.content.decode(), keep_blank_values=True))
