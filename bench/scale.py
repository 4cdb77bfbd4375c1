"""More processes against one Temporal and one PostgreSQL: `python -m bench.scale`."""

import asyncio
import itertools
import json
import shutil
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypedDict

from bench.load import saturate
from bench.merchant import Merchant
from bench.stage import Stage, open_stage
from embedded import application
from embedded.child import Child
from embedded.environment import inherited
from embedded.ports import HOST, assign_ports
from workflows.policies import RUN_QUEUES

WORKERS, APIS = (1, 2, 3), (1, 2)


class Point(TypedDict):
    """Throughput with so many processes."""

    workers: int
    apis: int
    rate: float


async def scale(folder: Path, payments: int, at_once: int) -> list[Point]:
    """Every combination, one after the other on the same servers."""
    points: list[Point] = []
    async with open_stage(folder) as stage, AsyncExitStack() as held:
        doors = [stage.merchants["alipay"]]
        for apis in APIS:
            if apis > len(doors):
                doors.append(await _another_door(stage, folder, held, apis))
            async with AsyncExitStack() as extra:
                for workers in WORKERS:
                    if workers > 1:
                        await _another_worker(stage, folder, extra, workers)
                    turns = itertools.cycle(doors)

                    async def whole(turns: Iterator[Merchant] = turns) -> None:
                        await next(turns).whole()

                    await saturate(whole, at_once, at_once, {})
                    found = await saturate(whole, payments, at_once, stage.processes)
                    points.append(Point(workers=workers, apis=apis, rate=round(found.rate, 2)))
                    late = sum(door.late_checkouts for door in doors)
                    sys.stdout.write(
                        f"{workers} workers, {apis} APIs: {found.rate:.1f}/s"
                        f" ({late} checkouts came late so far)\n"
                    )
                    sys.stdout.flush()
    return points


def _told(folder: Path) -> dict[str, str]:
    """As the first API and worker were told; the stack quotes values as JSON does."""
    lines = (folder / "env").read_text().splitlines()
    named = (line.partition("=") for line in lines)
    return inherited() | {name: json.loads(value) for name, _, value in named}


async def _another_worker(stage: Stage, folder: Path, held: AsyncExitStack, number: int) -> None:
    log = stage.stack.log(f"worker-{number}")
    program = application.worker_program(
        stage.stack.temporal_client, RUN_QUEUES, log, _told(folder)
    )
    child = Child(program)
    held.push_async_callback(child.stop)
    await child.start()
    # The first worker's polls make it look ready at once.
    await asyncio.sleep(4)


async def _another_door(stage: Stage, folder: Path, held: AsyncExitStack, number: int) -> Merchant:
    name = f"api-{number}"
    port = assign_ports([name], {}, folder / "more-ports.json")[name]
    log = stage.stack.log(name)
    child = Child(application.api_program(port, log, _told(folder)))
    held.push_async_callback(child.stop)
    await child.start()
    urls = (f"http://{HOST}:{port}", stage.stack.sandbox_url)
    door = Merchant("alipay", stage.key, urls, stage.ends)
    held.push_async_callback(door.close)
    return door


def main() -> None:
    """Print the points, and keep them as JSON."""
    parser = ArgumentParser(prog="bench.scale")
    parser.add_argument("--payments", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=32)
    parser.add_argument("--folder", type=Path, default=Path(".paysaga/bench-scale"))
    wanted = parser.parse_args()
    shutil.rmtree(wanted.folder, ignore_errors=True)
    points = asyncio.run(scale(wanted.folder, wanted.payments, wanted.at_once))
    (wanted.folder / "scale.json").write_text(json.dumps(points, indent=2))


if __name__ == "__main__":
    main()
