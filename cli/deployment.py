"""Commands about the deployment as a whole: its alarms, and the key of its ids."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from cli.console import STATE_DIR, StateDir, console, errors, moment
from cli.ledger import open_database
from domain.alarm import RaisedAlarm
from domain.identity import IdentityKey, IdentityKeyError
from storage.alarms import AlarmStore
from storage.deployment import DeploymentStore

BAD_KEY = 2


def alarms(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 50,
    state_dir: StateDir = STATE_DIR,
) -> None:
    """List what operators must know of accounts and workflows, by day (UTC)."""
    table = Table("Day", Column("Alarm", no_wrap=True), "About", "Times", "Last", "Detail")
    for alarm in asyncio.run(_alarms(state_dir, limit)):
        times, day = str(alarm.count), alarm.day.isoformat()
        last = moment(alarm.last_at)
        table.add_row(day, alarm.kind, escape(alarm.subject), times, last, escape(alarm.detail))
    console.print(table)


def replace_identity_key(
    key_file: Annotated[Path, typer.Argument(help="What PAYSAGA_IDENTITY_KEY_FILE will name.")],
    state_dir: StateDir = STATE_DIR,
) -> None:
    """Let a new key name every further payment, because the old one is lost for good.

    Stop the API first and wait a minute: a request that was under way and is not yet recorded could
    be repeated under a new id. What is recorded is found by its idempotency key as before.
    """
    try:
        key = IdentityKey.parse(key_file.read_text())
    except (OSError, UnicodeDecodeError, IdentityKeyError) as error:
        errors.print(f"[red]Not replaced[/]: {escape(str(error))}")
        raise typer.Exit(BAD_KEY) from error
    asyncio.run(_replace(state_dir, key))
    console.print("Replaced. Start the API with this key file, and back it up.")


async def _alarms(state_dir: Path, limit: int) -> list[RaisedAlarm]:
    async with open_database(state_dir) as database:
        return await AlarmStore(database).list_newest(limit)


async def _replace(state_dir: Path, key: IdentityKey) -> None:
    async with open_database(state_dir) as database:
        await DeploymentStore(database).replace(key)
