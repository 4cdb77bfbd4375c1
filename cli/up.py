"""`up` and `sandbox`: commands that keep servers running."""

import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from cli import lifetime
from cli.console import STATE_DIR, StateDir, console
from cli.embedded.config import EVERYTHING, UI_PORT, Service, StackConfig
from cli.embedded.environment import users_own
from cli.embedded.stack import Stack

PORT_NAMES = (*Service, UI_PORT)
Ports = Annotated[
    list[str] | None,
    typer.Option(
        "--port",
        metavar="NAME=NUMBER",
        help=f"Use this port; NAME is one of {', '.join(PORT_NAMES)}. May be repeated.",
    ),
]
TimeScale = Annotated[
    float, typer.Option(min=0.001, help="How many seconds pass in the sandbox in one of ours.")
]


def up(
    state_dir: StateDir = STATE_DIR,
    port: Ports = None,
    time_scale: TimeScale = 1,
    set_temporal_aside: Annotated[  # noqa: FBT002 - typer turns it into a flag
        bool, typer.Option(help="Keep the old Temporal file beside a new one.")
    ] = False,
) -> None:
    """Start the whole stack and keep it running until Ctrl-C.

    A server of your own, named by PAYSAGA_DATABASE_URL or TEMPORAL_ADDRESS, is used instead of
    an embedded one. PAYSAGA_DATABASE_OWNER_URL names another role of your database, which owns
    and migrates the tables; its password may come by PAYSAGA_DATABASE_OWNER_PASSWORD_FILE.
    """
    config = stack_config(
        state_dir, port, time_scale=time_scale, set_temporal_aside=set_temporal_aside
    )
    lifetime.run(_keep_up(config))


def sandbox(
    state_dir: StateDir = STATE_DIR / "sandbox-alone",
    port: Annotated[int, typer.Option(help="0 takes a free one, and the same one next time.")] = 0,
    time_scale: TimeScale = 1,
) -> None:
    """Run the providers' sandbox alone, for any SDK to be pointed at."""
    config = StackConfig(
        state_dir,
        services=frozenset({Service.SANDBOX}),
        ports={Service.SANDBOX: port} if port else {},
        sandbox_time_scale=time_scale,
    )
    lifetime.run(_keep_sandbox(config))


def stack_config(
    state_dir: Path, ports: list[str] | None, *, time_scale: float, set_temporal_aside: bool
) -> StackConfig:
    """The stack that the command line and the user's own servers ask for."""
    database_url, owner_url, external_temporal = users_own()
    return StackConfig(
        state_dir,
        services=EVERYTHING,
        ports=dict(_port(text) for text in ports or []),
        database_url=database_url,
        database_owner_url=owner_url,
        external_temporal=external_temporal,
        sandbox_time_scale=time_scale,
        set_temporal_aside=set_temporal_aside,
    )


def links_table(stack: Stack) -> Table:
    """The links of a running stack, as a table."""
    table = Table(title="Paysaga is up", title_justify="left", title_style="bold green")
    table.add_column("What")
    table.add_column("Where", overflow="fold")
    for title, url in stack.links.items():
        table.add_row(title, f"[link={url}]{url}[/link]")
    return table


async def _keep_up(config: StackConfig) -> None:
    started = time.monotonic()
    async with AsyncExitStack() as held:
        with console.status("Starting PostgreSQL, Temporal, the sandbox, the API and the worker"):
            stack = await held.enter_async_context(Stack(config))
        held.callback(console.print, "Stopping")
        console.print(links_table(stack))
        console.print(
            f"Ready in {time.monotonic() - started:.1f} s. Logs and state are in "
            f"{config.state_dir}. Ctrl-C stops everything."
        )
        await stack.watch()


async def _keep_sandbox(config: StackConfig) -> None:
    async with Stack(config) as stack:
        manifest = stack.manifest
        table = Table(title="The sandbox is up", title_justify="left", title_style="bold green")
        table.add_column("What")
        table.add_column("Where", overflow="fold")
        for title, url in manifest["links"].items():
            table.add_row(title, url)
        console.print(table)
        # A path is copied: it must not be broken by the table's edge.
        console.print(f"Keys and accounts: {stack.manifest_path}", soft_wrap=True)
        await stack.watch()


def _port(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    if name not in PORT_NAMES or not number.isdecimal():
        raise typer.BadParameter(f"{text!r}: want NAME=NUMBER, NAME of {', '.join(PORT_NAMES)}")
    return name, int(number)
