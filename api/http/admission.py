"""Who may be served now: a merchant by its own limits, a visitor by those of its address."""

import math
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus

from api.http.peers import network_of
from api.http.problems import ApiProblem
from api.http.rates import MOST_BUCKETS, Buckets, NoPlace, Slots, Waiting
from api.http.route_classes import RouteClass
from settings import Settings

# What a client may save up while it is quiet. Little: what is served together, others wait for.
BURST_SECONDS = 1.0
# Of body and answer together; an ordinary one has one or two KB.
BYTES_PER_TOKEN = 16 * 1024
# A visit that came to nothing (a wrong key, a forged notification) costs as much as so many.
FAILURE_TOKENS = 25
# A genuine message that says nothing new. A provider repeats one a handful of times in a day.
REPEAT_TOKENS = 5
MOST_REPEATS = 20
# Peers whose requests are served at the same time while each is at its own concurrency.
PEERS_AT_ONCE = 4
# The rate of all peers together, as a factor of that of one.
PEERS_RATE = 2
# Requests a second of one address. An orchestrator sends one in some seconds.
PROBE_RATE = 5.0


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
            ApiProblem: the merchant's bucket is empty, and still is after a pause.
            NoPlace: too many of its requests are being answered; after a pause.
        """
        bucket = self._buckets[kind]
        if not await bucket.take(merchant_id):
            await self._waiting.pause(merchant_id)
            # A few requests too many at the same time are spread, not rejected.
            if not await bucket.take(merchant_id):
                raise _rate_exceeded(kind, self._rates[kind])
        async with self._slots[kind].slot(merchant_id):
            yield

    async def charge(self, merchant_id: str, kind: RouteClass, size: int) -> None:
        """Take further tokens for a request's and its answer's bytes; each was handled by us."""
        await self._buckets[kind].take(merchant_id, size // BYTES_PER_TOKEN)


@dataclass(frozen=True)
class Visit:
    """A request that its own address may send now; `is_within_rate` where it did not wait."""

    network: str
    is_within_rate: bool


class Visitors:
    """Requests without a known credential: limits per peer, then limits of all peers together.

    Who has no tokens is delayed: behind a reverse proxy whose header is not configured, a stranger
    and a provider come from the same address. Of what all share, the peers within their own rate
    have a part, those beyond it together as much as one peer may have, and those of whom
    a notification was genuine and new a part of their own.
    """

    def __init__(self, settings: Settings, waiting: Waiting) -> None:
        rate, concurrency = settings.peer_rate, settings.peer_concurrency
        self._buckets = _buckets(rate)
        self._each = Slots(concurrency, waiting)
        self._waiting = waiting
        most = (rate * PEERS_RATE, concurrency * PEERS_AT_ONCE, waiting)
        self._within, self._proven = _Shared(*most), _Shared(*most)
        self._beyond = _Shared(rate, concurrency, waiting)
        # How many repeats each may still send.
        self._proven_networks: OrderedDict[str, int] = OrderedDict()

    @asynccontextmanager
    async def visit(self, peer: str) -> AsyncIterator[Visit]:
        """Hold one of the peer's own places inside; NoPlace after a pause without one."""
        network = network_of(peer)
        async with self._each.slot(network):
            is_within_rate = await self._buckets.take(network)
            if not is_within_rate:
                await self._waiting.pause(network)
            yield Visit(network, is_within_rate)

    @asynccontextmanager
    async def serve(self, visit: Visit) -> AsyncIterator[None]:
        """Hold one of the places of all peers inside; NoPlace after a pause without one.

        Only a request that is whole may be served: who sends slowly holds what others need.
        """
        shared = self._beyond
        if visit.is_within_rate:
            is_proven = visit.network in self._proven_networks
            shared = self._proven if is_proven else self._within
        async with shared.admit(visit.network):
            yield

    def proved(self, peer: str) -> None:
        """Remember that a notification of the peer was genuine and new."""
        network = network_of(peer)
        self._proven_networks[network] = MOST_REPEATS
        self._proven_networks.move_to_end(network)
        while len(self._proven_networks) > MOST_BUCKETS:
            self._proven_networks.popitem(last=False)

    async def repeated(self, peer: str) -> None:
        """Take the price of a genuine message that says nothing new.

        Anyone who has one can send it again and again: it proves less each time.
        """
        network = network_of(peer)
        left = self._proven_networks.pop(network, 0) - 1
        if left > 0:
            self._proven_networks[network] = left
        await self._buckets.take(network, REPEAT_TOKENS)

    async def failed(self, peer: str) -> None:
        """Take the price of a failure from the peer's bucket; it proves nothing any more."""
        network = network_of(peer)
        self._proven_networks.pop(network, None)
        await self._buckets.take(network, FAILURE_TOKENS)


class _Shared:
    """A bucket and slots that many peers share."""

    def __init__(self, rate: float, concurrency: int, waiting: Waiting) -> None:
        self._bucket = _buckets(rate)
        self._slots = Slots(concurrency, waiting)
        self._waiting = waiting

    @asynccontextmanager
    async def admit(self, network: str) -> AsyncIterator[None]:
        """Hold a place inside; NoPlace after a pause without a token or a place."""
        if not await self._bucket.take(""):
            await self._waiting.pause(network)
            if not await self._bucket.take(""):
                raise NoPlace
        async with self._slots.slot("", waits_as=network):
            yield


class Probes:
    """An orchestrator's requests: a bucket per peer, and a pause without tokens.

    Only who has very many waiting is rejected: an orchestrator kills what does not answer it.
    """

    def __init__(self, waiting: Waiting) -> None:
        self._buckets = _buckets(PROBE_RATE)
        self._waiting = waiting

    async def admit(self, peer: str) -> None:
        """Return where the probe may be answered; NoPlace."""
        network = network_of(peer)
        if not await self._buckets.take(network):
            await self._waiting.pause(network)


def _buckets(rate: float) -> Buckets:
    return Buckets(rate, max(1.0, rate * BURST_SECONDS))


def _rate_exceeded(kind: RouteClass, rate: float) -> ApiProblem:
    return ApiProblem(
        HTTPStatus.TOO_MANY_REQUESTS,
        "rate_limit_exceeded",
        f"More than {rate:g} requests a second of the kind `{kind}`. Send this one again later.",
        retryable=True,
        # The next token is there by then; who else wants it is not known.
        headers={"Retry-After": str(max(1, math.ceil(1 / rate)))},
    )
