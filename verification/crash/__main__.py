"""`python -m crash`: kill at every point of every scenario; the exit code says what came of it."""

import argparse
import asyncio
import logging
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter

from verification.crash.matrix import BATCH, Attempt, audited, batches, kill_at, rehearse
from verification.crash.point import Point
from verification.crash.scenarios import SCENARIOS
from verification.crash.stage import Stage, open_stage
from verification.crash.table import table, troubles

CONSOLE = Console(soft_wrap=True)
# The table's columns need it, whatever a log file claims to be.
WIDE = 150


def main() -> int:
    """0: every point was met and survived; 1: not."""
    parser = argparse.ArgumentParser(prog="crash", description=__doc__)
    parser.add_argument("--only", default="", help="scenarios whose name has this in it")
    parser.add_argument("--victim", default="", help="worker, api, postgres or temporal")
    parser.add_argument("--every", type=int, default=1, help="take each n-th point only")
    parser.add_argument("--stages", type=int, default=2, help="how many stacks die side by side")
    parser.add_argument("--keep", type=Path, help="keep state and logs in this folder")
    options = parser.parse_args()
    # Servers die here all the time: that the client tries again is no news.
    quiet = LoggingConfig(filter=TelemetryFilter(core_level="ERROR", other_level="ERROR"))
    Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=quiet)))
    logging.basicConfig(level=logging.ERROR)
    with TemporaryDirectory(prefix="crash-") as passing:
        folder = options.keep or Path(passing)
        folder.mkdir(parents=True, exist_ok=True)
        return asyncio.run(_run(folder, options))


async def _run(folder: Path, options: argparse.Namespace) -> int:
    started = time.monotonic()
    scenarios = [scenario for scenario in SCENARIOS if options.only in scenario.name]
    async with AsyncExitStack() as held:
        stages = [
            await held.enter_async_context(open_stage(folder / f"stage-{number}"))
            for number in range(options.stages)
        ]
        rehearsals = await rehearse(stages[0], scenarios)
        points = [p for r in rehearsals for p in r.points() if options.victim in p.victim]
        points = points[:: options.every]
        CONSOLE.print(f"{len(points)} points in {len(scenarios)} scenarios")
        attempts = await _attempt(stages, points, started)
        counts: Counter[str] = Counter()
        for stage in stages:
            counts.update((await audited(stage)).counts)
    Console(width=WIDE).print(table(attempts))
    for trouble in troubles(attempts):
        CONSOLE.print(trouble, markup=False)
    CONSOLE.print(", ".join(f"{count} {what}" for what, count in counts.items() if count))
    CONSOLE.print(f"{time.monotonic() - started:.0f} s")
    return 1 if troubles(attempts) else 0


async def _attempt(
    stages: Sequence[Stage], points: Sequence[Point], started: float
) -> list[Attempt]:
    """Every point, and again, in smaller and smaller company, those that the kill did not meet."""
    attempts: dict[Point, Attempt] = {}

    async def kill_in_turn(stage: Stage, waiting: Iterator[list[Point]]) -> None:
        for batch in waiting:
            tried = await kill_at(stage, batch)
            attempts.update({attempt.point: attempt for attempt in tried})
            CONSOLE.print(
                f"{time.monotonic() - started:4.0f} s  {len(attempts)}/{len(points)}"
                f"  {batch[0].victim}: {len(troubles(tried))} troubles"
            )

    for size in (BATCH, BATCH // 4, 2, 2):
        left = [p for p in points if p not in attempts or not attempts[p].met]
        waiting = batches(left, size)
        async with asyncio.TaskGroup() as running:
            for stage in stages:
                running.create_task(kill_in_turn(stage, waiting))
    return list(attempts.values())


if __name__ == "__main__":
    sys.exit(main())
