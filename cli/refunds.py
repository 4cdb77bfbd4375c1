"""Refunds, as the database knows them."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from cli.console import STATE_DIR, StateDir, console, details, moment, money, status
from cli.embedded.stack import ENV_FILE
from cli.ledger import open_database
from cli.temporal import connect_temporal
from crypto.key_ring import KeyRing
from domain.errors import NotFound
from domain.identity import refund_workflow_id
from domain.payment import Payment
from domain.refund import RECORDED_BY_OPERATOR, ConsoleRefund, Refund, external_refund
from engine.external_refunds import NotRecorded, record_external_refund
from settings import Settings
from storage.payments import PaymentStore
from storage.refunds import RefundStore

_NUMBER = (
    "The refund's number at the provider: Alipay out_request_no, WeChat Pay out_refund_no,"
    " UnionPay orderId of the refund."
)
_TIMES = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d"]

app = typer.Typer(help="Refunds, as the database knows them.", no_args_is_help=True)


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


@app.command("record")
def record(  # noqa: PLR0913, PLR0917 - a command's options
    payment_id: UUID,
    amount: Annotated[int, typer.Option(min=1, help="What went back, in minor units (fen).")],
    number: Annotated[str, typer.Option(help=_NUMBER, min=1, max=64)],
    note: Annotated[str, typer.Option(help="Who made it and why; the merchant sees it.")],
    refunded_at: Annotated[
        datetime | None, typer.Option("--at", formats=_TIMES, help="When, in UTC. Default: now.")
    ] = None,
    state_dir: StateDir = STATE_DIR,
) -> None:
    """Record a refund that was made at the provider's console. No money moves by this.

    What is refundable falls by the amount, the attention `external_refund` ends, and the merchant
    gets `refund.succeeded` with the cause `provider`. The same number again changes nothing.
    """
    at = datetime.now(UTC) if refunded_at is None else refunded_at.replace(tzinfo=UTC)
    made = ConsoleRefund(
        number=number,
        amount=amount,
        refunded_at=at,
        raw_status=RECORDED_BY_OPERATOR,
        reason=note,
    )
    refund, payment = asyncio.run(_record(state_dir, payment_id, made))
    console.print(
        f"Recorded {money(refund.amount, refund.currency)} as refund {refund.id};"
        f" {money(payment.refundable, payment.currency)} is refundable."
    )


async def _record(state_dir: Path, payment_id: UUID, made: ConsoleRefund) -> tuple[Refund, Payment]:
    settings = Settings(_env_file=state_dir / ENV_FILE)
    async with open_database(state_dir) as database:
        payments = PaymentStore(database)
        payment = await payments.get(payment_id)
        if payment is None:
            raise NotFound(f"No payment {payment_id}.")
        try:
            keys = KeyRing.from_file(settings.payload_keys_file)
            client = await connect_temporal(state_dir, keys)
        except RuntimeError as error:
            raise NotRecorded(f"Temporal can't be reached: {error}") from error
        refund = await record_external_refund(client, payment, external_refund(payment, made))
        return refund, await payments.get(payment_id) or payment


async def _show(state_dir: Path, refund_id: UUID) -> Refund:
    async with open_database(state_dir) as database:
        refund = await RefundStore(database).get(refund_id)
        if refund is None:
            raise NotFound(f"No refund {refund_id}.")
        return refund
