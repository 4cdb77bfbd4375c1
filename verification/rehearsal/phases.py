"""What is done to the stack while payments go on, one thing after the other."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from verification.rehearsal.deployment import as_documented
from verification.rehearsal.process import NotReady
from verification.rehearsal.restoring import backup_and_restore
from verification.rehearsal.shape import Shape
from verification.rehearsal.two_builds import forward_and_back

# Returns what it found broken.
Strike = Callable[[Shape], Awaitable[list[str]]]

# How long a part that was killed is away: longer than anything here waits without noticing.
AWAY_SECONDS = 3.0
# A killed PostgreSQL's processes end one by one, and a new one waits for the last.
_MOST_STARTS = 20


@dataclass(frozen=True)
class Phase:
    """One part of the rehearsal.

    Attributes:
        name: in the table.
        strike: what is done, some seconds into the load.
        seconds: how long the load goes on at least.
        harmless: no request may fail by it.
    """

    name: str
    strike: Strike
    seconds: float = 15.0
    harmless: bool = False


async def nothing(_: Shape) -> list[str]:
    """Leave everything as it is."""
    return []


def killed(*names: str) -> Strike:
    """Kill services, one after the other, and start each again after a while."""

    async def strike(shape: Shape) -> list[str]:
        for name in names:
            await shape.services[name].kill()
            await asyncio.sleep(AWAY_SECONDS)
            await _start_again(shape, name)
        return []

    return strike


def stopped(*names: str) -> Strike:
    """Stop services as a container is stopped, one after the other, and start each at once.

    Broken is what had to be killed at the end of its `stop_grace_period`.
    """

    async def strike(shape: Shape) -> list[str]:
        broken = []
        for name in names:
            if not await shape.services[name].stop():
                broken.append(f"{name} outlasted its stop_grace_period")
            await _start_again(shape, name)
        return broken

    return strike


async def _start_again(shape: Shape, name: str) -> None:
    for _ in range(_MOST_STARTS - 1):
        try:
            await shape.services[name].start()
        except NotReady:
            await asyncio.sleep(1)
        else:
            return
    await shape.services[name].start()


FAULTS = (
    Phase("all four providers", nothing, harmless=True),
    Phase("Temporal killed", killed("temporal")),
    Phase("Temporal stopped", stopped("temporal")),
    Phase("both workers killed in turn", killed("worker-1", "worker-2")),
    Phase("both API processes killed in turn", killed("api-1", "api-2")),
    Phase("PostgreSQL stopped", stopped("postgres")),
    Phase("PostgreSQL killed", killed("postgres")),
    Phase("API processes restarted in turn", stopped("api-1", "api-2"), harmless=True),
    Phase("upgraded to changed workflows, and back", forward_and_back, harmless=True),
    Phase("backed up, and restored elsewhere", backup_and_restore, harmless=True),
    # At the end: a metric of errors is there once there was one.
    Phase("indexes and metrics as documented", as_documented, harmless=True),
)
