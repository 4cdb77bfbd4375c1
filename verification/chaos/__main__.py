"""`make chaos`: everything goes wrong at once, by a seed; then the audit."""

import asyncio
import shutil
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.live import Live
from rich.table import Table

from cli import lifetime
from cli.audit import show
from cli.console import STATE_DIR, StateDir, console
from cli.embedded.config import StackConfig
from cli.embedded.stack import Stack
from reconciliation.audit.auditor import Audit
from storage.database import Database
from verification.chaos.broken.guards import GUARDS, PATIENCE_SECONDS, Guard, SabotagedStack
from verification.chaos.chaos_test import TIME_SCALE, ChaosTest
from verification.chaos.generate import Settings, generate
from verification.chaos.plan import Plan
from verification.chaos.report import Report

HEAVY = ("postgres", "temporal", "sandbox")


def chaos(  # noqa: PLR0913, PLR0917 - typer turns each into an option
    payments: Annotated[int, typer.Option("--payments", "-n", min=1)] = 500,
    seed: Annotated[int, typer.Option(help="The same seed throws the same things.")] = 1,
    rate: Annotated[float, typer.Option(min=0.1, help="Payments a second.")] = 3.5,
    kill_every: Annotated[
        float, typer.Option(min=0, help="Seconds between two SIGKILLs; 0 kills nothing.")
    ] = 8.0,
    state_dir: StateDir = STATE_DIR / "chaos",
    broken: Annotated[
        str | None,
        typer.Option("--break", metavar="GUARD", help=f"Break a guard: {', '.join(GUARDS)}."),
    ] = None,
    keep: Annotated[  # noqa: FBT002 - typer turns it into a flag
        bool, typer.Option("--keep", help="Keep the servers' files of a clean run too.")
    ] = False,
) -> None:
    """Payments and refunds over all channels while everything fails, then an audit.

    Exit code 0 only where all came to its end and every promise held; with --break, only where
    the audit names the promise that the guard protects.
    """
    guard = _guard(broken)
    plan = guard.plan if guard else generate(Settings(payments, seed, rate, kill_every))
    name = broken or f"seed{seed}"
    folder = state_dir / f"{name}-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    good: list[bool] = []
    lifetime.run(_chaos(plan, StackConfig(folder, sandbox_time_scale=TIME_SCALE), good, guard))
    if good != [True]:
        raise typer.Exit(1)
    if not keep:
        for name in HEAVY:
            shutil.rmtree(folder / name, ignore_errors=True)


def _guard(name: str | None) -> Guard | None:
    if name is not None and name not in GUARDS:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(GUARDS)}")
    return GUARDS[name] if name else None


async def _chaos(plan: Plan, config: StackConfig, good: list[bool], guard: Guard | None) -> None:
    begun = time.monotonic()
    console.print(
        f"Seed {plan.seed}, schedule {plan.digest}: {len(plan.orders)} orders,"
        f" {sum(plan.planned_faults.values())} faults, {len(plan.kills)} kills planned."
    )
    async with AsyncExitStack() as held:
        with console.status("Starting the stack"):
            stack = await held.enter_async_context(_stack(config, guard))
        database = Database(stack.database_url)
        held.push_async_callback(database.close)
        made = ChaosTest(plan, stack, database)
        if guard is not None:
            made.statements, made.patience = guard.statements, PATIENCE_SECONDS
        written, found = await _watched(made)
        written.durations["whole"] = round(time.monotonic() - begun, 1)
        written.broken = guard.name if guard else None
        path = written.write(config.state_dir)
        console.print(summary(written))
        show(found)
        for surprise in written.surprises:
            console.print(f"[red]Surprise[/]: {surprise}")
        if not written.quiet:
            console.print("[red]Not everything came to its end in time.[/]")
        console.print(f"The report is {path}.")
        good.append(_named(guard, found) if guard else written.clean)


def _stack(config: StackConfig, guard: Guard | None) -> Stack:
    if guard is None:
        return Stack(config)
    stack = SabotagedStack(config)
    stack.guard = guard
    return stack


def _named(guard: Guard, found: Audit) -> bool:
    """Whether the audit names what the broken guard let through."""
    named = {finding.promise for finding in found.errors} & guard.promises
    said = ", ".join(sorted(named)) or "nothing of it"
    console.print(f"Guard {guard.name!r} was broken; the audit names: [bold]{said}[/].")
    return bool(named)


async def _watched(made: ChaosTest) -> tuple[Report, Audit]:
    running = asyncio.create_task(made.run())
    with Live(_progress(made), console=console, refresh_per_second=2) as live:
        while not running.done():
            await asyncio.wait([running], timeout=1)
            live.update(_progress(made))
    if running.cancelled():
        raise RuntimeError("the chaos was cut off")
    return await running


def _progress(made: ChaosTest) -> Table:
    counts, progress = made.counts, made.progress
    table = Table(title=f"ChaosTest: {made.phase}", show_header=False, title_justify="left")
    table.add_row("orders through", f"{counts.finished} of {len(made.plan.orders)}")
    table.add_row("payments", _summed(progress.statuses))
    table.add_row("refunds", _summed(progress.refunds))
    payments, refunds, events = progress.waiting
    table.add_row("open", f"{payments} payments, {refunds} refunds, {events} events")
    table.add_row("killed", _summed(counts.kills))
    return table


def summary(written: Report) -> Table:
    """The report as a table."""
    table = Table(title="Planned and survived", title_justify="left")
    table.add_column("What")
    table.add_column("How much", overflow="fold")
    faults = sum(written.planned_faults.values()) - sum(written.faults_not_met.values())
    refused = {k: v for k, v in written.answers.items() if not k.split()[-1].startswith("2")}
    rows = {
        "payments": _summed(written.payments),
        "refunds": _summed(written.refunds),
        "courses": _summed(written.courses),
        "faults that struck": f"{faults} of {sum(written.planned_faults.values())} planned",
        "killed": _summed(written.kills),
        "back after (s, mean)": _summed(written.recovery_seconds),
        "notifications": _summed(written.notifications),
        "webhooks": _summed(written.webhooks),
        "forgeries": _summed(written.forgeries),
        "floods": _summed(written.floods),
        "sweeps": _summed(written.sweeps),
        "other answers than 2xx": _summed(refused),
        "seconds": _summed(written.durations),
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _summed(counts: Mapping[str, float]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"


if __name__ == "__main__":
    typer.run(chaos)
