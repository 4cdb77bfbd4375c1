"""`make rehearse-production`: run compose's stack for real, break it under load, count the money.

Ends with exit code 1 where a promise was broken, and 0 where this machine cannot run it.
"""

import argparse
import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from rich.console import Console

from verification.rehearsal.load import Merchant
from verification.rehearsal.phases import FAULTS, Phase
from verification.rehearsal.process import NotReady
from verification.rehearsal.report import Row, markdown
from verification.rehearsal.shape import Shape
from verification.rehearsal.toolchain import CannotRehearse, Servers, prepare

CONSOLE = Console()
RATE = 3.0


def main() -> int:
    """Run the rehearsal; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=RATE, help="payments a second")
    parser.add_argument("--phases", default="", help="only those whose name has this")
    given = parser.parse_args()
    try:
        servers = prepare()
    except CannotRehearse as why:
        CONSOLE.print(f"[yellow]Skipped[/]: {why}.")
        return 0
    chosen = [phase for phase in FAULTS if given.phases in phase.name]
    rows = asyncio.run(_rehearse(servers, chosen, given.rate))
    CONSOLE.print(markdown(rows), markup=False, soft_wrap=True)
    return 1 if any(row.broken for row in rows) else 0


async def _rehearse(servers: Servers, phases: list[Phase], rate: float) -> list[Row]:
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="paysaga-rehearsal-") as folder:
        shape = Shape(Path(folder), servers)
        async with shape.running():
            key = await _merchant(shape)
            for phase in phases:
                CONSOLE.print(f"{phase.name} …")
                async with _at_work(shape, key) as merchant:
                    row = Row(phase.name, merchant.seen)
                    row.broken += await _play(shape, merchant, phase, rate)
                row.broken += _broken(phase, row)
                row.broken += await _audited(shape)
                rows.append(row)
    return rows


async def _play(shape: Shape, merchant: Merchant, phase: Phase, rate: float) -> list[str]:
    over = asyncio.Event()
    loading = asyncio.create_task(merchant.load(rate, over))
    await asyncio.sleep(phase.seconds / 3)
    broken = await phase.strike(shape)
    await asyncio.sleep(phase.seconds * 2 / 3)
    over.set()
    await loading
    await merchant.settle()
    return broken


def _broken(phase: Phase, row: Row) -> list[str]:
    broken = [f"{each}: {status}" for each, status in row.seen.left.items()]
    if row.seen.failures["never answered"]:
        broken.append("requests were never answered")
    if phase.harmless and row.seen.failures:
        broken.append("requests failed")
    return broken


async def _audited(shape: Shape) -> list[str]:
    """What the product's own audit finds."""
    records = ("--provider-records", shape.sandbox_url, "--state-dir", str(shape.folder / "none"))
    try:
        await shape.job("worker", "python", "-m", "cli", "audit", *records)
    except NotReady as found:
        return [f"audit: {found}"]
    return []


async def _merchant(shape: Shape) -> str:
    """Create the merchant, whose webhooks go to the sandbox's inbox; returns its key."""
    place = ("--state-dir", str(shape.folder / "none"))
    url = f"{shape.sandbox_url}/merchant/rehearsal/webhooks"
    command = ("python", "-m", "cli")
    await shape.job(
        "worker", *command, "merchants", "create", "rehearsal", "--webhook-url", url, *place
    )
    said = await shape.job("worker", *command, "keys", "create", "--merchant", "rehearsal", *place)
    return said.strip().splitlines()[-1]


@contextlib.asynccontextmanager
async def _at_work(shape: Shape, key: str) -> AsyncIterator[Merchant]:
    merchant = Merchant(key, shape.api_url, shape.sandbox_url)
    try:
        yield merchant
    finally:
        await merchant.close()


if __name__ == "__main__":
    sys.exit(main())
