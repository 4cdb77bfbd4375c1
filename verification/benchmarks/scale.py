"""More processes against one Temporal and one PostgreSQL: `python -m bench.scale`.

Once with payments carried by the APIs that start them, and once by the workers.
"""

import asyncio
import itertools
import json
import os
import shutil
import sys
from argparse import ArgumentParser
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypedDict

import uvloop

from cli.embedded import application
from cli.embedded.child import Child
from cli.embedded.config import ONE_MERCHANT
from cli.embedded.environment import inherited
from cli.embedded.ports import HOST, assign_ports
from verification.benchmarks.load import saturate
from verification.benchmarks.merchant import Merchant
from verification.benchmarks.report import table
from verification.benchmarks.stage import Stage, open_stage
from workflows.policies import RUN_QUEUES

WORKERS, APIS = (1, 2, 3), (1, 2)


class Point(TypedDict):
    """Throughput with so many processes, and CPU milliseconds per payment by kind of process."""

    executed_by: str
    workers: int
    apis: int
    rate: float
    cpu_ms: dict[str, float]


async def scale(folder: Path, payments: int, at_once: int, executed_by: str) -> list[Point]:
    """Every combination, one after the other on the same servers."""
    points: list[Point] = []
    async with open_stage(folder) as stage, AsyncExitStack() as held:
        processes = dict(stage.processes)
        backends = [stage.merchants["alipay"]]
        for apis in APIS:
            if apis > len(backends):
                backends.append(await _another_api(stage, folder, held, apis, processes))
            async with AsyncExitStack() as extra:
                for workers in WORKERS:
                    if workers > 1:
                        await _another_worker(stage, folder, extra, workers, processes)
                    turns = itertools.cycle(backends)

                    async def whole(turns: Iterator[Merchant] = turns) -> None:
                        await next(turns).whole()

                    await saturate(whole, at_once, at_once, {})
                    found = await saturate(whole, payments, at_once, processes)
                    points.append(
                        Point(
                            executed_by=executed_by,
                            workers=workers,
                            apis=apis,
                            rate=round(found.rate, 2),
                            cpu_ms=_by_kind(found.cpu_ms()),
                        )
                    )
                    late = sum(backend.late_checkouts for backend in backends)
                    sys.stderr.write(
                        f"{workers} workers, {apis} APIs: {found.rate:.1f}/s"
                        f" ({late} checkouts came late so far)\n"
                    )
    return points


def _by_kind(cpu_ms: Mapping[str, float]) -> dict[str, float]:
    kinds: defaultdict[str, float] = defaultdict(float)
    for name, spent in cpu_ms.items():
        kinds[name.partition("-")[0]] += spent
    return {kind: round(spent, 1) for kind, spent in kinds.items() if kind != "floor worker"}


def _table(points: Sequence[Point]) -> str:
    kinds = list(points[0]["cpu_ms"])
    head = ["Executed by", "APIs", "workers", "payments/s", *(f"{kind} ms" for kind in kinds)]
    rows = [
        [
            point["executed_by"],
            point["apis"],
            point["workers"],
            point["rate"],
            *point["cpu_ms"].values(),
        ]
        for point in points
    ]
    return table(head, rows)


def _environment(folder: Path) -> dict[str, str]:
    """The environment of the first API and worker; the stack quotes values as JSON does."""
    lines = (folder / "env").read_text().splitlines()
    named = (line.partition("=") for line in lines)
    wired = {name: json.loads(value) for name, _, value in named}
    return inherited() | wired | ONE_MERCHANT


async def _another_worker(
    stage: Stage, folder: Path, held: AsyncExitStack, number: int, processes: dict[str, int]
) -> None:
    name = f"worker-{number}"
    log = folder / "logs" / f"{name}.log"
    program = application.worker_program(
        stage.system.temporal_client, RUN_QUEUES, log, _environment(folder)
    )
    child = Child(program)
    held.push_async_callback(child.stop)
    await child.start()
    processes[name] = child.pid
    held.callback(processes.pop, name)
    # The first worker's polls make it look ready at once.
    await asyncio.sleep(4)


async def _another_api(
    stage: Stage, folder: Path, held: AsyncExitStack, number: int, processes: dict[str, int]
) -> Merchant:
    name = f"api-{number}"
    port = assign_ports([name], {}, folder / "more-ports.json")[name]
    log = folder / "logs" / f"{name}.log"
    child = Child(application.api_program(port, log, _environment(folder)))
    held.push_async_callback(child.stop)
    await child.start()
    processes[name] = child.pid
    urls = (f"http://{HOST}:{port}", stage.system.sandbox_url)
    backend = Merchant("alipay", stage.key, urls, stage.ends)
    held.push_async_callback(backend.close)
    return backend


def main() -> None:
    """Print the points, and keep them as JSON."""
    parser = ArgumentParser(prog="verification.benchmarks.scale")
    parser.add_argument("--payments", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=32)
    parser.add_argument("--folder", type=Path, default=Path(".paysaga/bench-scale"))
    wanted = parser.parse_args()
    shutil.rmtree(wanted.folder, ignore_errors=True)
    points: list[Point] = []
    for executed_by, eager in (("API", "true"), ("worker", "false")):
        # As an operator would set it; the stack hands its own environment on.
        os.environ["PAYSAGA_EAGER_START"] = eager
        folder = wanted.folder / executed_by.lower()
        points += uvloop.run(scale(folder, wanted.payments, wanted.at_once, executed_by))
    (wanted.folder / "scale.json").write_text(json.dumps(points, indent=2))
    sys.stdout.write(f"{_table(points)}\n")


if __name__ == "__main__":
    main()
