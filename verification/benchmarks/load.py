"""The two loads: one payment after the other, and as many at once as the machine takes."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from verification.benchmarks import machine
from verification.benchmarks.sides import Opened, Side

T = TypeVar("T")

# A run's last task and its note are over by then.
SETTLED_SECONDS = 0.1
# Payments of each side that wait together: not for so long that their provider is asked.
BATCH = 8


@dataclass(frozen=True)
class Timed:
    """Seconds of one payment, one at a time: create, notify to acknowledged, notify to webhook."""

    create: float
    acknowledge: float
    webhook: float


@dataclass(frozen=True)
class Saturated:
    """A closed loop's result: payments a second, and what the machine did meanwhile."""

    payments: int
    rate: float
    span: machine.Span

    def cpu_ms(self) -> dict[str, float]:
        """CPU milliseconds per payment by process."""
        return {name: total / self.payments for name, total in self.span.by_name.items()}


async def saturate(
    whole: Callable[[], Awaitable[None]], payments: int, at_once: int, processes: Mapping[str, int]
) -> Saturated:
    """`payments` whole payments, `at_once` under way at any time."""
    left = iter(range(payments))

    async def one_after_the_other() -> None:
        for _ in left:
            await whole()

    before = machine.read(processes)
    await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))
    span = machine.between(before, machine.read(processes))
    return Saturated(payments, payments / span.seconds, span)


async def step_by_step(sides: Sequence[Side], payments: int) -> dict[str, list[Timed]]:
    """`payments` of each side, alternating, nothing else under way."""
    found: dict[str, list[Timed]] = {side.name: [] for side in sides}
    for begun in range(0, payments, BATCH):
        batch = await _step_by_step(sides, min(BATCH, payments - begun))
        for name, timed in batch.items():
            found[name] += timed
    return found


async def _step_by_step(sides: Sequence[Side], payments: int) -> dict[str, list[Timed]]:
    """All are made before the first one is notified, for a payer takes a while, too.

    Before each step there is a moment for what the one before it left to be done after its answer.
    """
    made: list[tuple[Side, Opened, float]] = []
    for side in [side for _ in range(payments) for side in sides]:
        await asyncio.sleep(SETTLED_SECONDS)
        made.append((side, *await _timed_create(side)))
    for side, opened, _ in made:
        await side.pay(opened)
    found: dict[str, list[Timed]] = {side.name: [] for side in sides}
    for side, opened, create in made:
        await asyncio.sleep(SETTLED_SECONDS)
        notified = await side.notified(opened)
        found[side.name].append(Timed(create, notified.acknowledge, notified.webhook))
    return found


async def steady(side: Side, rate: float, seconds: float) -> list[float]:
    """Seconds that each create took at `rate` a second, whatever the others did meanwhile.

    Each is paid and notified at once: a payment left open would be polled, and the later mood
    would carry the questions of the earlier one.
    """

    async def one() -> float:
        opened, create = await _timed_create(side)
        await side.pay(opened)
        await side.notified(opened)
        return create

    return await at_rate(one, rate, seconds)


async def at_rate(
    one: Callable[[], Coroutine[Any, Any, T]], rate: float, seconds: float
) -> list[T]:
    """What each of them answered, one begun every 1 / `rate` seconds, for `seconds`."""
    tasks: list[asyncio.Task[T]] = []
    begun = time.monotonic()
    while (due := len(tasks) / rate) < seconds:
        await asyncio.sleep(max(begun + due - time.monotonic(), 0))
        tasks.append(asyncio.create_task(one()))
    return await asyncio.gather(*tasks)


async def _timed_create(side: Side) -> tuple[Opened, float]:
    begun = time.perf_counter()
    opened = await side.create()
    return opened, time.perf_counter() - begun
