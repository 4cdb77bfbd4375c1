"""`make bench`: everything measured against its floor, in one run."""

import shutil
import sys
from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from cli.embedded.application import ROOT
from verification.benchmarks import bars, signing
from verification.benchmarks.comparing import Sizes, compare
from verification.benchmarks.flooding import compare_flooded
from verification.benchmarks.machine import commit, describe
from verification.benchmarks.open_payments import hold
from verification.benchmarks.report import Report, write_into
from verification.benchmarks.stage import open_stage
from verification.benchmarks.starving import starve

PARTS = tuple(bars.PARTS)
ON_ONE_STAGE = ("compare", "starve", "open")
HEAVY = ("postgres", "temporal", "sandbox")
DOCUMENT = ROOT / "docs" / "performance.md"


def main() -> None:
    """Measure, print, keep; the exit code says only whether it could be measured."""
    wanted = _arguments()
    if wanted.docs and set(wanted.parts) != set(PARTS):
        sys.exit("--docs writes the figures of a whole run: leave --parts out.")
    folder = wanted.folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
    report = Report(
        machine=describe(),
        date=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        commit=commit(),
        left_out=bars.left_out(wanted.parts, wanted.open),
    )
    try:
        uvloop.run(_measure(wanted, folder, report))
    finally:
        # A part that failed takes nothing away from those before it.
        (folder / "report.json").write_text(report.as_json())
        (folder / "report.md").write_text(report.markdown())
    sys.stdout.write(f"{report.markdown()}\nThe report is {folder / 'report.json'}.\n")
    if wanted.docs:
        write_into(DOCUMENT, report.markdown())
    for place in (folder, folder / "flood"):
        for name in HEAVY:
            shutil.rmtree(place / name, ignore_errors=True)


async def _measure(wanted: Namespace, folder: Path, report: Report) -> None:
    """Fill the report, part by part."""
    if not set(wanted.parts).isdisjoint(ON_ONE_STAGE):
        await _measure_one_merchant(wanted, folder, report)
    if "flood" in wanted.parts:
        _say("a merchant that floods")
        async with open_stage(folder / "flood", limited=True) as stage:
            report.flooded = await compare_flooded(
                stage, wanted.quiet_rate, wanted.steady_seconds, wanted.rounds
            )
        report.bars += bars.of_flooding(report.flooded)
    if "signing" in wanted.parts:
        _say("signing")
        report.signing = signing.measure(wanted.signing_seconds)
        report.bars += bars.of_signing(report.signing)


async def _measure_one_merchant(wanted: Namespace, folder: Path, report: Report) -> None:
    async with open_stage(folder) as stage:
        if "compare" in wanted.parts:
            _say("floor and payments")
            sizes = Sizes(wanted.rounds, wanted.payments, wanted.samples)
            report.compared = await compare(stage, sizes)
            report.bars += bars.of_comparison(report.compared)
        if "starve" in wanted.parts:
            _say("a provider that hangs")
            report.starved = await starve(
                stage, wanted.steady_rate, wanted.steady_seconds, wanted.rounds
            )
            report.bars += bars.of_starving(report.starved)
        if "open" in wanted.parts:
            _say(f"{wanted.open} open payments")
            report.held = await hold(stage, wanted.open, wanted.samples)
            report.bars += bars.of_open_payments(report.held)


def _arguments() -> Namespace:
    parser = ArgumentParser(prog="bench", description="Payments against the floor, in one run.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--payments", type=int, default=150, help="a side and round, at saturation")
    parser.add_argument("--samples", type=int, default=60, help="a side and round, one by one")
    parser.add_argument("--open", type=int, default=20000, help="payments held waiting")
    parser.add_argument("--steady-rate", type=float, default=6.0, help="creates/s if it hangs")
    parser.add_argument("--steady-seconds", type=float, default=24.0)
    parser.add_argument("--quiet-rate", type=float, default=4.0, help="creates/s during a flood")
    parser.add_argument("--signing-seconds", type=float, default=0.5)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--folder", type=Path, default=Path(".paysaga/bench"))
    parser.add_argument("--docs", action="store_true", help="write the figures into docs/")
    return parser.parse_args()


def _say(what: str) -> None:
    sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S} {what}\n")


if __name__ == "__main__":
    main()
