"""Who may be served now: a merchant by its own limits, a visitor by those of its address."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from api.peers import network_of
from api.problems import Refusal
from api.rates import Buckets, Slots, Waiting
from api.route_classes import RouteClass
from settings import Settings

# What a client may save up while it is quiet. Little: what is served together, others wait for.
BURST_SECONDS = 1.0
# A visit that came to nothing (a wrong key, a forged notification) costs as much as so many.
FAILURE_TOKENS = 25
# Peers at the concurrency limit that are served at the same time.
PEERS_AT_ONCE = 4


class MerchantLimits:
    """A token bucket and concurrency slots per merchant and class of routes."""

    def __init__(self, settings: Settings, waiting: Waiting) -> None:
        limits = {
            RouteClass.CREATE: (settings.create_rate, settings.create_concurrency),
            RouteClass.COMMAND: (settings.command_rate, settings.command_concurrency),
            RouteClass.READ: (settings.read_rate, settings.read_concurrency),
        }
        self._rates = {kind: rate for kind, (rate, _) in limits.items()}
        self._buckets = {kind: _buckets(rate) for kind, rate in self._rates.items()}
        self._slots = {kind: Slots(each, waiting) for kind, (_, each) in limits.items()}
        self._waiting = waiting

    @asynccontextmanager
    async def admit(self, merchant_id: str, kind: RouteClass) -> AsyncIterator[None]:
        """Hold one of the merchant's places inside.

        Raises:
            Refusal: the merchant's bucket is empty, and still is after a pause.
            NoPlace: too many of its requests are being answered; after a pause.
        """
        bucket = self._buckets[kind]
        if not await bucket.take(merchant_id):
            await self._waiting.pause()
            # A few requests too many at the same time are spread, not refused.
            if not await bucket.take(merchant_id):
                raise _rate_exceeded(kind, self._rates[kind])
        async with self._slots[kind].slot(merchant_id):
            yield


class Visitors:
    """Requests without a known credential: slots per peer and in all, and a bucket per peer.

    Who has no tokens is served after a pause and not refused: behind a reverse proxy whose header
    is not configured, a stranger and a provider come from the same address.
    """

    def __init__(self, settings: Settings, waiting: Waiting) -> None:
        self._buckets = _buckets(settings.peer_rate)
        self._each = Slots(settings.peer_concurrency, waiting)
        self._all = Slots(settings.peer_concurrency * PEERS_AT_ONCE, waiting)
        self._waiting = waiting

    @asynccontextmanager
    async def visit(self, peer: str) -> AsyncIterator[None]:
        """Hold a place inside; NoPlace after a pause without one."""
        key = network_of(peer)
        async with self._each.slot(key):
            if not await self._buckets.take(key):
                await self._waiting.pause()
            async with self._all.slot(""):
                yield

    async def failed(self, peer: str) -> None:
        """Take the price of a failure from the peer's bucket."""
        await self._buckets.take(network_of(peer), FAILURE_TOKENS)


def _buckets(rate: float) -> Buckets:
    return Buckets(rate, max(1.0, rate * BURST_SECONDS))


def _rate_exceeded(kind: RouteClass, rate: float) -> Refusal:
    return Refusal(
        HTTPStatus.TOO_MANY_REQUESTS,
        "rate_limit_exceeded",
        f"More than {rate:g} requests a second of the kind `{kind}`. Send this one again later.",
        retryable=True,
        # The next token is there by then; who else wants it is not known.
        headers={"Retry-After": str(max(1, math.ceil(1 / rate)))},
    )
