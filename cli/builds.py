"""The builds of a deployment: which begins new payments, and what the others still hold."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table
from temporalio.client import Client
from temporalio.service import RPCError

from cli.console import STATE_DIR, StateDir, console, errors
from cli.embedded.stack import ENV_FILE
from cli.temporal import connect_temporal
from crypto.key_ring import KeyRing
from engine.build_moves import Moved, Outcome, move
from engine.builds import Build, promote, read_builds
from engine.sweep import sweep_now
from settings import Settings

app = typer.Typer(help="Builds, and what each of them still holds.", no_args_is_help=True)

STRANDED, NO_BUILD = 1, 2
BuildId = Annotated[
    str | None, typer.Argument(help="The build; by default this one (PAYSAGA_BUILD_ID).")
]


@app.command("list")
def list_builds(state_dir: StateDir = STATE_DIR) -> None:
    """List the builds that Temporal knows; exit code 1 where one has workflows and no worker."""
    found = asyncio.run(_list(state_dir))
    table = Table("Build", "Begins new payments", "Workers", "Open workflows")
    for build in found:
        workers = "yes" if build.polled else "[red]none[/]" if build.strands else "none"
        current = "yes" if build.current else ""
        table.add_row(escape(build.id), current, workers, str(build.open_workflows))
    console.print(table)
    if any(build.strands for build in found):
        errors.print(
            "[red]Workflows wait for a build without a worker[/]: start one of it, or"
            " `builds move` them to this build."
        )
        raise typer.Exit(STRANDED)


@app.command("promote")
def promote_build(build: BuildId = None, state_dir: StateDir = STATE_DIR) -> None:
    """Let the build begin new payments, once its workers run. Going back is the same."""
    try:
        asyncio.run(_promote(state_dir, build))
    except RPCError as error:
        errors.print(f"[red]Not promoted[/]: {escape(error.message)}")
        raise typer.Exit(STRANDED) from error
    console.print("Promoted. Keep workers of the build before until `builds list` shows 0.")


@app.command("move")
def move_build(
    build: Annotated[str, typer.Argument(help="The build whose workflows are moved to this one.")],
    *,
    restart: Annotated[
        bool,
        typer.Option(
            "--restart",
            help="Terminate payments and refunds that cannot be moved, and start them again from"
            " the database: each queries its provider before it does anything.",
        ),
    ] = False,
    state_dir: StateDir = STATE_DIR,
) -> None:
    """Move the open workflows of a build to this one, each after its history was replayed here.

    For a build that must not go on, or whose workers are to be stopped. Exit code 1 where some are
    left.
    """
    found = asyncio.run(_move(state_dir, build, restart=restart))
    for each in found:
        if each.outcome is not Outcome.MOVED:
            console.print(f"{each.workflow_id} {each.outcome}: {escape(each.reason)}")
    counts = {outcome: sum(each.outcome is outcome for each in found) for outcome in Outcome}
    console.print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    if counts[Outcome.LEFT]:
        raise typer.Exit(STRANDED)


async def _connect(state_dir: Path) -> tuple[Client, Settings]:
    settings = Settings(_env_file=state_dir / ENV_FILE)
    keys = KeyRing.from_file(settings.payload_keys_file)
    return await connect_temporal(state_dir, keys), settings


def _this_build(settings: Settings) -> str:
    if settings.build_id is None:
        errors.print("[red]This process has no build[/]: set PAYSAGA_BUILD_ID, or name one.")
        raise typer.Exit(NO_BUILD)
    return settings.build_id


async def _list(state_dir: Path) -> list[Build]:
    client, _ = await _connect(state_dir)
    return await read_builds(client)


async def _promote(state_dir: Path, build: str | None) -> None:
    client, settings = await _connect(state_dir)
    await promote(client, build or _this_build(settings))


async def _move(state_dir: Path, source: str, *, restart: bool) -> list[Moved]:
    client, settings = await _connect(state_dir)
    target = _this_build(settings)
    found = [each async for each in move(client, source, target, restart=restart)]
    if any(each.outcome is Outcome.TERMINATED for each in found):
        await sweep_now(client)
    return found
