"""Merchants: who may take payments here."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from cli.console import STATE_DIR, StateDir, console
from cli.ledger import open_database, stored_secrets
from domain.errors import NotFound
from domain.merchant import LatePolicy, Merchant
from domain.merchant_settings import check_merchant_id, check_name
from embedded.stack import ENV_FILE
from settings import Settings
from storage.merchants import MerchantStore
from webhooks.signing import new_secret
from webhooks.targets import check_new

app = typer.Typer(help="Merchants: who may take payments here.", no_args_is_help=True)
MerchantId = Annotated[str, typer.Argument(help="A short id, such as `shop-1`.")]
Name = Annotated[str | None, typer.Option(help="What people call it.")]
WebhookUrl = Annotated[str | None, typer.Option(help="Where it is told of changes.")]


@app.command("create")
def create(
    merchant_id: MerchantId,
    name: Name = None,
    webhook_url: WebhookUrl = None,
    late_policy: Annotated[
        LatePolicy, typer.Option(help="What to do with money for a closed payment.")
    ] = LatePolicy.REFUND,
    state_dir: StateDir = STATE_DIR,
) -> None:
    """Create a merchant and print its webhook secret."""
    check_merchant_id(merchant_id)
    name = merchant_id if name is None else name
    check_name(name)
    secret = new_secret()
    merchant = Merchant(
        id=merchant_id,
        name=name,
        webhook_url=webhook_url,
        webhook_secret=stored_secrets(state_dir).encrypt(merchant_id, secret),
        late_policy=late_policy,
    )
    asyncio.run(_create(state_dir, merchant))
    console.print(f"Merchant [bold]{merchant.id}[/bold] is there. Its webhooks are signed with")
    console.print(secret, highlight=False, soft_wrap=True)


@app.command("update")
def update(
    merchant_id: MerchantId,
    name: Name = None,
    webhook_url: Annotated[
        str | None, typer.Option(help="Where it is told of changes; empty: nowhere.")
    ] = None,
    late_policy: Annotated[LatePolicy | None, typer.Option()] = None,
    state_dir: StateDir = STATE_DIR,
) -> None:
    """Change what is named, and leave the rest as it is. The webhook secret stays."""
    given = {"name": name, "webhook_url": webhook_url, "late_policy": late_policy}
    # Not what stays as it is: that may be of an older rule.
    if name is not None:
        check_name(name)
    changes = {key: value or None for key, value in given.items() if value is not None}
    asyncio.run(_update(state_dir, merchant_id, changes))
    console.print("The merchant is changed.")


@app.command("encrypt-secrets")
def encrypt_secrets(state_dir: StateDir = STATE_DIR) -> None:
    """Encrypt every webhook secret under the newest payload key, before an older one is dropped."""
    count = asyncio.run(_encrypt_secrets(state_dir))
    console.print(f"{count} webhook secrets are encrypted under the newest key.")


async def _encrypt_secrets(state_dir: Path) -> int:
    secrets, count = stored_secrets(state_dir), 0
    async with open_database(state_dir) as database:
        merchants = MerchantStore(database)
        for merchant in await merchants.list_all():
            secret = secrets.decrypt(merchant.id, merchant.webhook_secret)
            if secret is not None:
                encrypted = secrets.encrypt(merchant.id, secret)
                await merchants.replace_secret(merchant, encrypted)
                count += 1
    return count


async def _create(state_dir: Path, merchant: Merchant) -> None:
    await _check_webhook_url(state_dir, merchant.webhook_url)
    async with open_database(state_dir) as database:
        await MerchantStore(database).create(merchant)


async def _update(state_dir: Path, merchant_id: str, changes: dict[str, str | None]) -> None:
    await _check_webhook_url(state_dir, changes.get("webhook_url"))
    async with open_database(state_dir) as database:
        merchants = MerchantStore(database)
        found = await merchants.get(merchant_id)
        if found is None:
            raise NotFound("There is no such merchant.")
        await merchants.update(found.model_copy(update=changes))


async def _check_webhook_url(state_dir: Path, url: str | None) -> None:
    if url is not None:
        settings = Settings(_env_file=state_dir / ENV_FILE)
        await check_new(url, allow_private=settings.is_sandbox)
