"""Merchants: who may take payments here."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from cli.console import STATE_DIR, StateDir, console
from cli.ledger import open_database
from domain.merchant import LatePolicy, Merchant
from storage.merchants import MerchantStore
from webhooks.signing import new_secret

app = typer.Typer(help="Merchants: who may take payments here.", no_args_is_help=True)


@app.command("create")
def create(
    merchant_id: Annotated[str, typer.Argument(help="A short id, such as `shop-1`.")],
    name: Annotated[str, typer.Option(help="What people call it; the id where left out.")] = "",
    webhook_url: Annotated[str | None, typer.Option(help="Where it is told of changes.")] = None,
    late_policy: Annotated[
        LatePolicy, typer.Option(help="What to do with money for a closed payment.")
    ] = LatePolicy.REFUND,
    state_dir: StateDir = STATE_DIR,
) -> None:
    """Create a merchant and print its webhook secret."""
    merchant = Merchant(
        id=merchant_id,
        name=name or merchant_id,
        webhook_url=webhook_url,
        webhook_secret=new_secret(),
        late_policy=late_policy,
    )
    asyncio.run(_create(state_dir, merchant))
    console.print(f"Merchant [bold]{merchant.id}[/bold] is there. Its webhooks are signed with")
    console.print(merchant.webhook_secret, highlight=False, soft_wrap=True)


async def _create(state_dir: Path, merchant: Merchant) -> None:
    async with open_database(state_dir) as database:
        await MerchantStore(database).create(merchant)
