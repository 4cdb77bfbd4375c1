"""`make bench-production`: payments against the floor on compose's stack with its real servers.

Temporal's server and both databases on PostgreSQL, TLS between Temporal and its clients, each
service by compose's own command. One API process, one worker and one floor worker, as in
`make bench`, so that only the servers differ; the API is called without a proxy between.
"""

import json
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from cli.embedded.application import ROOT, FreshPollers
from crypto.encryption import Encryption
from settings import Settings
from verification.benchmarks import bars, floor
from verification.benchmarks.comparing import Compared, Sizes, compare
from verification.benchmarks.ends import Ends
from verification.benchmarks.machine import commit, describe
from verification.benchmarks.report import Report, write_into
from verification.benchmarks.stage import Stage, with_merchant
from verification.benchmarks.system import System
from verification.rehearsal.process import Service
from verification.rehearsal.shape import Shape
from verification.rehearsal.toolchain import CannotRehearse, Servers, prepare
from webhooks.stored_secrets import StoredSecrets

DOCUMENT = ROOT / "docs" / "performance.md"
_PROCESSES = {"api-1": "api", "worker-1": "worker"}
_SERVERS = ("postgres", "temporal", "sandbox")


def main() -> None:
    """Measure, print, keep; ends with 0 where this machine cannot run the servers."""
    wanted = _arguments()
    try:
        servers = prepare()
    except CannotRehearse as why:
        sys.stdout.write(f"Skipped: {why}.\n")
        return
    report = Report(
        machine=describe(), date=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", commit=commit()
    )
    sizes = Sizes(wanted.rounds, wanted.payments, wanted.samples)
    report.compared = uvloop.run(_measure(servers, sizes))
    report.bars += bars.of_comparison(report.compared)
    wanted.folder.mkdir(parents=True, exist_ok=True)
    kept = wanted.folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S}.json"
    kept.write_text(report.as_json())
    sys.stdout.write(f"{report.markdown()}\nThe report is {kept}.\n")
    if wanted.docs:
        write_into(DOCUMENT, report.markdown(), "make bench-production")


async def _measure(servers: Servers, sizes: Sizes) -> Compared:
    with tempfile.TemporaryDirectory(prefix="paysaga-bench-") as folder:
        shape = Shape(Path(folder), servers, apis=1, workers=1)
        async with shape.running(), _stage(shape) as stage:
            return await compare(stage, sizes)


@asynccontextmanager
async def _stage(shape: Shape) -> AsyncIterator[Stage]:
    async with Ends() as ends:
        floor_worker = _floor_worker(shape, ends)
        await floor_worker.start()
        try:
            async with with_merchant(_system(shape), ends, floor_worker.pid) as stage:
                yield stage
        finally:
            await floor_worker.stop()


def _system(shape: Shape) -> System:
    variables = shape.compose.environment("api").items()
    environment = shape.folder / "env"
    environment.write_text("".join(f"{name}={json.dumps(text)}\n" for name, text in variables))
    names = _PROCESSES | {name: name for name in _SERVERS}
    return System(
        api_url=shape.api_url,
        sandbox_url=shape.sandbox_url,
        database_url=shape.database_url,
        temporal_client=shape.temporal_client,
        stored_secrets=StoredSecrets(Encryption(shape.keys)),
        settings=Settings(_env_file=environment),
        processes={shown: shape.services[name].pid for name, shown in names.items()},
    )


def _floor_worker(shape: Shape, ends: Ends) -> Service:
    pollers = FreshPollers(shape.temporal_client, [floor.QUEUE, floor.WEBHOOK_QUEUE])
    pollers.start_afresh()
    environment = shape.compose.environment("worker") | {"BENCH_END_PORT": str(ends.port)}
    return Service(
        "floor worker",
        [sys.executable, "-m", "verification.benchmarks.floor_worker"],
        shape.environment(environment),
        folder=ROOT,
        log=shape.log("floor-worker"),
        ready=pollers.seen,
    )


def _arguments() -> Namespace:
    parser = ArgumentParser(
        prog="verification.benchmarks.production",
        description="Payments against the floor, on real servers.",
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--payments", type=int, default=150, help="a side and round, at saturation")
    parser.add_argument("--samples", type=int, default=60, help="a side and round, one by one")
    parser.add_argument("--folder", type=Path, default=Path(".paysaga/bench-production"))
    parser.add_argument("--docs", action="store_true", help="write the figures into docs/")
    return parser.parse_args()


if __name__ == "__main__":
    main()
