"""API keys: how a merchant's backend proves who it is."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from cli.console import STATE_DIR, StateDir, console, errors, moment
from cli.ledger import open_database
from domain.merchant_settings import check_label
from storage.keys import ApiKey, ApiKeyStore

app = typer.Typer(help="API keys: how a merchant's backend proves who it is.", no_args_is_help=True)
MerchantId = Annotated[str, typer.Option("--merchant", help="The merchant's id.")]


@app.command("create")
def create(merchant: MerchantId, label: str = "", state_dir: StateDir = STATE_DIR) -> None:
    """Create a key and print it, this once: only its digest is kept."""
    check_label(label)
    key = asyncio.run(_create(state_dir, merchant, label))
    errors.print("Keep this key; it can't be shown again.", style="dim")
    console.print(key, highlight=False, soft_wrap=True)


@app.command("list")
def list_keys(merchant: MerchantId, state_dir: StateDir = STATE_DIR) -> None:
    """List a merchant's keys, without their secrets."""
    table = Table("Prefix", "Label", "Created", "Revoked")
    for key in asyncio.run(_list(state_dir, merchant)):
        table.add_row(key.prefix, key.label, moment(key.created_at), moment(key.revoked_at))
    console.print(table)


@app.command("revoke")
def revoke(prefix: str, state_dir: StateDir = STATE_DIR) -> None:
    """Revoke a key by its visible prefix."""
    asyncio.run(_revoke(state_dir, prefix))
    console.print(f"Key {prefix} is revoked.")


async def _create(state_dir: Path, merchant_id: str, label: str) -> str:
    async with open_database(state_dir) as database:
        return await ApiKeyStore(database).create(merchant_id, label)


async def _list(state_dir: Path, merchant_id: str) -> list[ApiKey]:
    async with open_database(state_dir) as database:
        return await ApiKeyStore(database).list_for_merchant(merchant_id)


async def _revoke(state_dir: Path, prefix: str) -> None:
    async with open_database(state_dir) as database:
        await ApiKeyStore(database).revoke(prefix)
