"""Every point of every scenario, in batches: rehearse, hold, kill, go on, audit."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from cli.embedded.config import Service
from reconciliation.audit.auditor import Audit, Scope, audit
from verification.crash.conductor import Watch
from verification.crash.point import Point, Step
from verification.crash.scenarios import SCENARIOS, Play, Scenario
from verification.crash.stage import Stage

# As many payments as a laptop's two cores carry without one waiting long for another.
BATCH = 32
# A workflow task is the dead worker's for ten seconds; the others reach their points within these.
LONGEST_HOLD_SECONDS = 4.0
MOST_TRIES = 2
REHEARSALS = 3
PATIENCE_SECONDS = 120.0


class RehearsalError(Exception):
    """A scenario does not come to its right end even where nothing dies."""


@dataclass
class Attempt:
    """One point tried: whether the kill met it, and what went wrong afterwards."""

    point: Point
    met: bool = False
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Flight:
    """One attempt under way."""

    attempt: Attempt
    play: Play
    watch: Watch
    run: "asyncio.Task[None]"

    @property
    def coming(self) -> bool:
        """It has not come to its point yet."""
        watch = self.watch
        return watch.stop_at is not None and watch.held is None and not self.run.done()


@dataclass(frozen=True)
class Rehearsal:
    """A scenario as it goes with nobody dying."""

    scenario: Scenario
    steps: list[Step]

    def points(self) -> Iterator[Point]:
        """Where something can die: the process that takes the step, and the server it asks."""
        for step in dict.fromkeys(self.steps):
            if not _worth(step):
                continue
            for victim in (step.process, *step.servers):
                yield Point(self.scenario.name, step, victim)


async def rehearse(stage: Stage, scenarios: Sequence[Scenario] = SCENARIOS) -> list[Rehearsal]:
    """Play every scenario three times, undisturbed: what comes by chance is nothing to wait for."""
    first, *others = [await _rehearse_once(stage, scenarios) for _ in range(REHEARSALS)]
    always = [
        set.intersection(*(set(rehearsal.steps) for rehearsal in same))
        for same in zip(*others, strict=True)
    ]
    return [
        Rehearsal(once.scenario, [step for step in once.steps if step in found])
        for once, found in zip(first, always, strict=True)
    ]


async def _rehearse_once(stage: Stage, scenarios: Sequence[Scenario]) -> list[Rehearsal]:
    plays = [Play.of(stage, scenario) for scenario in scenarios]
    watches = [stage.conductor.watch(play.names) for play in plays]
    runs = [asyncio.create_task(play.run()) for play in plays]
    await asyncio.wait(runs, timeout=PATIENCE_SECONDS)
    for play, run in zip(plays, runs, strict=True):
        run.cancel()
        if not run.done() or run.exception():
            raise RehearsalError(f"{play.scenario.name} goes wrong with nobody dying: {_why(run)}")
    return [
        Rehearsal(play.scenario, watch.trail.steps)
        for play, watch in zip(plays, watches, strict=True)
    ]


def batches(points: Sequence[Point], size: int = BATCH) -> Iterator[list[Point]]:
    """Points of one victim that are reached at about the same time go together."""
    places: Counter[tuple[str, Service]] = Counter()
    placed = []
    for point in points:
        places[point.scenario, point.victim] += 1
        placed.append((point.victim, places[point.scenario, point.victim], point))
    for victim in Service:
        mine = sorted((p for p in placed if p[0] is victim), key=lambda p: p[1])
        yield from ([p[2] for p in mine[at : at + size]] for at in range(0, len(mine), size))


async def kill_at(stage: Stage, points: Sequence[Point]) -> list[Attempt]:
    """Play a scenario for each point up to there, kill, and play them to their ends."""
    scenarios = {scenario.name: scenario for scenario in SCENARIOS}
    flights = []
    for point in points:
        play = Play.of(stage, scenarios[point.scenario])
        watch = stage.conductor.watch(play.names, point.step)
        flights.append(Flight(Attempt(point), play, watch, asyncio.create_task(play.run())))
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not all(flight.run.done() for flight in flights):
                await _strike_when_due(stage, flights)
    except TimeoutError:
        for flight in flights:
            flight.run.cancel()
    await asyncio.wait([flight.run for flight in flights])
    for flight in flights:
        flight.attempt.met = flight.watch.reached.is_set()
        flight.attempt.wrong += _why(flight.run)
    await _judge(stage, flights)
    return [flight.attempt for flight in flights]


async def _strike_when_due(stage: Stage, flights: list[Flight]) -> None:
    """Kill once every play has come to its point, or the first has been there for long."""
    held = [flight for flight in flights if flight.watch.held is not None]
    longest = min(held, key=lambda flight: flight.watch.held_at, default=None)
    coming = any(flight.coming for flight in flights)
    now = asyncio.get_running_loop().time()
    if longest is None or (coming and now - longest.watch.held_at < LONGEST_HOLD_SECONDS):
        await asyncio.sleep(0.05)
        return
    victim = longest.attempt.point.victim
    old = stage.strike(victim)
    for flight in held:
        if flight.attempt.point.victim is victim:
            flight.watch.release()
    await stage.replaced(victim, old)


def _why(run: "asyncio.Task[None]") -> list[str]:
    if run.cancelled():
        return [f"did not end within {PATIENCE_SECONDS:.0f} s"]
    error = run.exception()
    return [] if error is None else [f"{type(error).__name__}: {error}"]


async def _judge(stage: Stage, flights: list[Flight]) -> None:
    found = await audited(stage)
    for error in found.errors:
        said = f"{error.promise}: {error.payment} {error.what}"
        if said in stage.named:
            continue  # of an earlier batch
        stage.named.add(said)
        whose = [flight for flight in flights if error.payment in flight.play.names]
        (whose or flights)[0].attempt.wrong.append(said)


async def audited(stage: Stage) -> Audit:
    """Every book of the stage, compared."""
    return await audit(
        Scope(
            database=stage.database,
            temporal=stage.temporal,
            sandbox_url=stage.stack.sandbox_url,
            histories=0,
        )
    )


def _worth(step: Step) -> bool:
    """Whether dying here differs from dying at the steps beside it.

    Reading changes nothing: to die before a question is to die after the step before it. A poll's
    third try is its second again, and so is a request's: what else comes is repeats, by chance.
    """
    if step.occurrence > MOST_TRIES and (step.of_request or step.label.startswith("poll_")):
        return False
    return step.after or not step.reads
