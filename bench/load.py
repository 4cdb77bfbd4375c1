"""The two loads: one payment after the other, and as many at once as the machine takes."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench import machine
from bench.merchant import Side, Timed


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
    side: Side, payments: int, at_once: int, processes: Mapping[str, int]
) -> Saturated:
    """`payments` whole payments, `at_once` under way at any time."""
    left = iter(range(payments))

    async def one_after_the_other() -> None:
        for _ in left:
            await side.whole()

    before = machine.read(processes)
    await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))
    span = machine.between(before, machine.read(processes))
    return Saturated(payments, payments / span.seconds, span)


async def step_by_step(sides: Sequence[Side], payments: int) -> dict[str, list[Timed]]:
    """`payments` of each side, alternating, nothing else under way."""
    found: dict[str, list[Timed]] = {side.name: [] for side in sides}
    for _ in range(payments):
        for side in sides:
            found[side.name].append(await side.timed())
    return found


async def steady(side: Side, rate: float, seconds: float) -> list[float]:
    """Seconds that each create took at `rate` a second, whatever the others did meanwhile."""
    tasks: list[asyncio.Task[float]] = []
    begun = time.monotonic()
    while (due := len(tasks) / rate) < seconds:
        await asyncio.sleep(max(begun + due - time.monotonic(), 0))
        tasks.append(asyncio.create_task(_timed_create(side)))
    return list(await asyncio.gather(*tasks))


async def _timed_create(side: Side) -> float:
    begun = time.perf_counter()
    await side.create()
    return time.perf_counter() - begun
