"""Merchants: who may take payments here."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from cli.console import STATE_DIR, StateDir, console
from cli.embedded.stack import ENV_FILE
from cli.ledger import open_database, stored_secrets
from domain.errors import Conflict, NotFound
from domain.merchant import LatePolicy, Merchant
from domain.merchant_settings import check_merchant_id, check_name
from engine.webhook_secrets import Renewed, renew_webhook_secrets
from settings import Settings
from storage.merchants import MerchantStore
from webhooks.signing import UnusableSecretError, is_usable, new_secret
from webhooks.stored_secrets import Replaced
from webhooks.targets import check_new

app = typer.Typer(help="Merchants: who may take payments here.", no_args_is_help=True)
MerchantId = Annotated[str, typer.Argument(help="A short id, such as `shop-1`.")]
Name = Annotated[str | None, typer.Option(help="What people call it.")]
# A merchant that needs longer has not changed over at all.
LONGEST_OVERLAP_HOURS = 24 * 14
WebhookUrl = Annotated[str | None, typer.Option(help="Where its events are sent.")]


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
        str | None, typer.Option(help="Where its events are sent; empty: nowhere.")
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


@app.command("new-secret")
def new_webhook_secret(
    merchant_id: MerchantId,
    overlap_hours: Annotated[
        float,
        typer.Option(
            min=0,
            max=LONGEST_OVERLAP_HOURS,
            help="How long the old one signs too; 0 where others know it.",
        ),
    ] = 24,
    state_dir: StateDir = STATE_DIR,
) -> None:
    """Give a merchant a new webhook secret, and print it.

    Until the overlap is over each webhook has both signatures: the merchant's library takes either.
    """
    secret = new_secret()
    overlaps = asyncio.run(_replace_secret(state_dir, merchant_id, secret, overlap_hours))
    until = (
        f"The old one signs too for {overlap_hours:g} hours." if overlaps else "Alone, from now."
    )
    console.print(f"The webhooks of [bold]{merchant_id}[/bold] are signed with this. {until}")
    console.print(secret, highlight=False, soft_wrap=True)


@app.command("encrypt-secrets")
def encrypt_secrets(state_dir: StateDir = STATE_DIR) -> None:
    """Encrypt every webhook secret under the newest payload key, as each start of API or worker.

    Ends with 1 where a secret cannot be decrypted: its key is missing.
    """
    renewed = asyncio.run(_encrypt_secrets(state_dir))
    console.print(f"{renewed.count} webhook secrets were encrypted under the newest key.")
    if renewed.unreadable:
        names = ", ".join(renewed.unreadable)
        console.print(f"[red]Cannot be decrypted[/]: those of {names}. Their key is missing.")
        raise typer.Exit(1)


async def _encrypt_secrets(state_dir: Path) -> Renewed:
    async with open_database(state_dir) as database:
        return await renew_webhook_secrets(database, stored_secrets(state_dir))


async def _replace_secret(
    state_dir: Path, merchant_id: str, secret: str, overlap_hours: float
) -> bool:
    """Whether the old secret goes on signing: one that cannot be decrypted does not."""
    secrets = stored_secrets(state_dir)
    async with open_database(state_dir) as database:
        merchants = MerchantStore(database)
        found = await merchants.get(merchant_id)
        if found is None:
            raise NotFound("There is no such merchant.")
        try:
            older = secrets.decrypt(merchant_id, found.webhook_secret)
        except UnusableSecretError:
            older = None
        replaced = None
        if older is not None and is_usable(older) and overlap_hours:
            until = datetime.now(UTC) + timedelta(hours=overlap_hours)
            replaced = Replaced(older, until)
        stored = secrets.encrypt(merchant_id, secret, replaced=replaced)
        if not await merchants.replace_secret(found, stored):
            raise Conflict("The secret was just replaced by another command: run it again.")
        return replaced is not None


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
