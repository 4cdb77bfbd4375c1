"""`audit`: do the provider's records, ours and the merchant's agree?"""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from pydantic import ValidationError
from rich.markup import escape
from rich.table import Table
from temporalio.service import RPCError

from cli.console import STATE_DIR, StateDir, console, errors
from cli.embedded.postgres import kept_passwords
from cli.embedded.stack import ENV_FILE
from cli.ledger import open_database
from cli.temporal import connect_temporal
from crypto.encryption import Encryption
from crypto.key_ring import KeyRing
from providers.unionpay.config import PROVIDER as UNIONPAY
from providers.unionpay.wire import Malformed
from reconciliation.audit.auditor import MOST_HISTORIES, Audit, Scope, audit
from reconciliation.audit.finding import Promise, Severity
from reconciliation.audit.known_secrets import known_secrets
from reconciliation.audit.readers.statement import read_settlement_file
from settings import Settings
from storage.database import Database, DatabaseUnavailable
from webhooks.stored_secrets import StoredSecrets

NOT_CLEAN, CANNOT_AUDIT = 1, 2
# Of one kind, so that none hides another.
MOST_ROWS = 10
# Errors of records that cannot be read.
_UNREADABLE = (DatabaseUnavailable, RPCError, RuntimeError, httpx.HTTPError, OSError, Malformed)


def audit_command(
    state_dir: StateDir = STATE_DIR,
    provider_records: Annotated[
        str,
        typer.Option(
            help="The providers' records: a sandbox's address, `auto` for the stack's own,"
            " `none` for a real provider."
        ),
    ] = "auto",
    secrets: Annotated[
        Path | None, typer.Option(help="JSON: more secrets to look for, by name.")
    ] = None,
    histories: Annotated[
        int, typer.Option(min=0, help="How many workflow histories are searched for secrets.")
    ] = MOST_HISTORIES,
    statement: Annotated[
        list[Path] | None,
        typer.Option(help="UnionPay's settlement file, as ZIP or `fileContent`; repeatable."),
    ] = None,
) -> None:
    """Compare all records, fen by fen, and name each difference.

    Exit code 0: clean; 1: not; 2: the audit could not be made.
    """
    planted: dict[str, str] = json.loads(secrets.read_text()) if secrets else {}
    try:
        made = asyncio.run(_audit(state_dir, provider_records, planted, histories, statement or []))
    except _UNREADABLE as error:
        errors.print(f"[red]Cannot audit[/]: {escape(str(error)) or type(error).__name__}")
        raise typer.Exit(CANNOT_AUDIT) from error
    except ValidationError as error:
        errors.print(f"[red]Cannot audit[/]: no stack in {state_dir}, and no PAYSAGA_* settings.")
        raise typer.Exit(CANNOT_AUDIT) from error
    show(made)
    if not made.clean:
        raise typer.Exit(NOT_CLEAN)


def show(made: Audit) -> None:
    """The audit as a number of each kind, a table of the first of each, and a verdict."""
    if made.findings:
        for promise, count in made.by_promise.items():
            shown = f", the first {MOST_ROWS} below" if count > MOST_ROWS else ""
            console.print(f"{count} × {promise}{shown}")
        console.print(findings_table(made))
    looked = ", ".join(f"{count} {what}" for what, count in made.counts.items())
    console.print(f"Looked at {looked}.")
    notes = len(made.findings) - len(made.errors)
    rest = f"; {notes} for an operator's list" if notes else ""
    if made.clean:
        console.print(f"[green]Clean[/]: every promise holds{rest}.")
    else:
        console.print(f"[red]Not clean[/]: {len(made.errors)} findings{rest}.")


def findings_table(made: Audit) -> Table:
    """One finding a row, at most ten of a kind."""
    table = Table("", "Found", "Payment", "What", "What to do")
    table.columns[1].no_wrap = True
    rows: Counter[Promise] = Counter()
    for found in made.findings:
        rows[found.promise] += 1
        if rows[found.promise] > MOST_ROWS:
            continue
        style = "red" if found.severity is Severity.ERROR else "dim"
        table.add_row(
            f"[{style}]{found.promise.number}[/]",
            f"[{style}]{found.promise}[/]",
            found.payment[:12],
            found.what,
            found.advice,
        )
    return table


async def _audit(
    state_dir: Path,
    provider_records: str,
    planted: Mapping[str, str],
    histories: int,
    statements: list[Path],
) -> Audit:
    settings = Settings(_env_file=state_dir / ENV_FILE)
    accounts = settings.read_accounts().get(UNIONPAY, [])
    files = tuple(read_settlement_file(path, accounts) for path in statements)
    async with AsyncExitStack() as held:
        database = await held.enter_async_context(open_database(state_dir))
        keys = KeyRing.from_file(settings.payload_keys_file)
        stored = StoredSecrets(Encryption(keys))
        known = await all_known_secrets(settings, database, stored, state_dir)
        return await audit(
            Scope(
                database=database,
                temporal=await connect_temporal(state_dir, keys),
                sandbox_url=_sandbox_url(state_dir, provider_records),
                secrets=known | dict(planted),
                state_dir=state_dir if (state_dir / "logs").exists() else None,
                histories=histories,
                statements=files,
            )
        )


async def all_known_secrets(
    settings: Settings, database: Database, stored: StoredSecrets, state_dir: Path
) -> dict[str, str]:
    """Return those of the deployment, and of the embedded servers where the folder has them."""
    of_servers = kept_passwords(state_dir / "postgres")
    return of_servers | await known_secrets(settings, database, stored)


def _sandbox_url(state_dir: Path, provider_records: str) -> str | None:
    if provider_records == "none":
        return None
    if provider_records != "auto":
        return provider_records
    manifest = state_dir / "sandbox" / "sandbox.json"
    if not manifest.exists():
        return None
    found: dict[str, Any] = json.loads(manifest.read_text())
    return str(found["base_url"])
