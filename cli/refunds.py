"""Refunds, as the database knows them."""

import asyncio
from pathlib import Path
from uuid import UUID

import typer

from cli.console import STATE_DIR, StateDir, console, details, moment, money, status
from cli.ledger import open_database
from domain.errors import NotFound
from domain.identity import refund_workflow_id
from domain.refund import Refund
from storage.refunds import RefundStore

app = typer.Typer(help="Refunds, as the database knows them.", no_args_is_help=True)


@app.callback()
def refunds() -> None:
    """Refunds, as the database knows them."""


@app.command("show")
def show(refund_id: UUID, state_dir: StateDir = STATE_DIR) -> None:
    """Show one refund."""
    refund = asyncio.run(_show(state_dir, refund_id))
    rows: dict[str, object] = {
        "status": status(refund.status),
        "amount": money(refund.amount, refund.currency),
        "cause": refund.cause,
        "reason": refund.reason,
        "payment": refund.payment_id,
        "merchant": refund.merchant_id,
        "provider": f"{refund.provider} / {refund.account}",
        "their number": refund.provider_reference,
        "their status": refund.raw_status,
        "created": moment(refund.created_at),
        "refunded": moment(refund.refunded_at),
        "attention": refund.attention,
        "failure": refund.failure.message if refund.failure else None,
        "workflow": refund_workflow_id(refund.id),
    }
    console.print(details(f"Refund {refund.id}", rows))


async def _show(state_dir: Path, refund_id: UUID) -> Refund:
    async with open_database(state_dir) as database:
        refund = await RefundStore(database).get(refund_id)
        if refund is None:
            raise NotFound(f"No refund {refund_id}.")
        return refund
