"""How long a provider's own answer takes: what a create costs beyond us."""

import time
from datetime import UTC, datetime

import httpx

from providers.registry import build
from verification.benchmarks.merchant import ACCOUNTS
from verification.benchmarks.orders import order
from verification.benchmarks.system import System


class TimedTransport(httpx.AsyncHTTPTransport):
    """Notes how long each answer took to come."""

    def __init__(self) -> None:
        super().__init__(trust_env=False)
        self.seconds: list[float] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and keep the time until the whole answer was there."""
        begun = time.perf_counter()
        response = await super().handle_async_request(request)
        await response.aread()
        self.seconds.append(time.perf_counter() - begun)
        return response


async def provider_seconds(system: System, provider: str, orders: int) -> list[float]:
    """Seconds outside our own code of so many orders, one after the other."""
    transport = TimedTransport()
    async with httpx.AsyncClient(transport=transport) as http:
        registry = build(
            system.settings.read_accounts(),
            http=http,
            clock=lambda: datetime.now(UTC),
            public_url=system.api_url,
        )
        account = registry.get(provider, ACCOUNTS[provider])
        # Keys may be fetched before the first order.
        await account.create(order(provider))
        transport.seconds.clear()
        for _ in range(orders):
            await account.create(order(provider))
    return transport.seconds
