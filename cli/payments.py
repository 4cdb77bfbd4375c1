"""Payments, as the database knows them."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.table import Table

from cli.console import STATE_DIR, StateDir, console, details, moment, money, status
from cli.keys import MerchantId
from cli.ledger import open_database
from domain.errors import NotFound
from domain.identity import payment_workflow_id
from domain.payment import Payment, PaymentStatus
from domain.refund import Refund
from storage import erasure
from storage.page import Page
from storage.payment_filters import PaymentFilters
from storage.payments import PaymentStore
from storage.refunds import RefundStore

app = typer.Typer(help="Payments, as the database knows them.", no_args_is_help=True)


@app.command("list")
def list_payments(
    merchant: MerchantId,
    only: Annotated[PaymentStatus | None, typer.Option("--status")] = None,
    order_no: Annotated[str | None, typer.Option(help="The merchant's order number.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20,
    state_dir: StateDir = STATE_DIR,
) -> None:
    """List a merchant's newest payments."""
    filters = PaymentFilters(status=only, order_no=order_no)
    page = asyncio.run(_list(state_dir, merchant, filters, limit))
    table = Table("Created", "Id", "Order", "Provider", "Channel", "Amount", "Status", "Attention")
    table.columns[1].no_wrap = True
    table.columns[5].justify = "right"
    for payment in page.items:
        table.add_row(
            moment(payment.created_at),
            str(payment.id),
            payment.order_no,
            payment.provider,
            payment.channel,
            money(payment.amount, payment.currency),
            status(payment.status),
            payment.attention or "",
        )
    console.print(table)
    if page.next_cursor is not None:
        console.print("There are more; raise --limit or narrow the list.", style="dim")


@app.command("show")
def show(payment_id: UUID, state_dir: StateDir = STATE_DIR) -> None:
    """Show one payment and its refunds."""
    payment, refunds = asyncio.run(_show(state_dir, payment_id))
    console.print(details(f"Payment {payment.id}", _rows(payment)))
    if refunds:
        table = Table("Refund", "Amount", "Status", "Cause", title="Refunds", title_justify="left")
        for refund in refunds:
            amount = money(refund.amount, refund.currency)
            table.add_row(str(refund.id), amount, status(refund.status), refund.cause)
        console.print(table)


@app.command("forget")
def forget(payment_id: UUID, state_dir: StateDir = STATE_DIR) -> None:
    """Erase what is personal in a payment that is over; its money, statuses and numbers stay.

    Subject, metadata, return URL, checkout, reasons, providers' messages and raw notifications.
    """
    asyncio.run(_forget(state_dir, payment_id))
    console.print(f"What was personal in {payment_id} is erased. Backups still have it.")


@app.command("forget-notifications")
def forget_notifications(
    days: Annotated[int, typer.Option(min=30, help="Keep the notifications of so many days.")],
    state_dir: StateDir = STATE_DIR,
) -> None:
    """Erase what providers sent, body and headers, where it is older."""
    count = asyncio.run(_forget_notifications(state_dir, timedelta(days=days)))
    console.print(f"The bodies of {count} notifications are erased.")


def _rows(payment: Payment) -> dict[str, object]:
    return {
        "status": status(payment.status),
        "amount": money(payment.amount, payment.currency),
        "captured": money(payment.captured, payment.currency) if payment.captured else None,
        "refunded": money(payment.refunded, payment.currency) if payment.refunded else None,
        "store's price": _store_price(payment),
        "test": payment.test or None,
        "merchant": payment.merchant_id,
        "order": payment.order_no,
        "subject": payment.subject,
        "provider": f"{payment.provider} / {payment.account} / {payment.channel}",
        "their number": payment.provider_reference,
        "their status": payment.raw_status,
        "created": moment(payment.created_at),
        "expires": moment(payment.expires_at),
        "paid": moment(payment.paid_at),
        "late": payment.late,
        "duplicate": payment.duplicate,
        "attention": payment.attention,
        "failure": payment.failure.message if payment.failure else None,
        "workflow": payment_workflow_id(payment.id),
    }


def _store_price(payment: Payment) -> str | None:
    """Thousandths are printed as such: a currency's decimals are the store's affair."""
    if payment.store_price is None:
        return None
    offer = f" ({payment.offer} offer)" if payment.offer else ""
    return f"{payment.store_price / 1000:.3f} {payment.store_currency or ''}{offer}"


async def _list(
    state_dir: Path, merchant_id: str, filters: PaymentFilters, limit: int
) -> Page[Payment]:
    async with open_database(state_dir) as database:
        store = PaymentStore(database)
        page = await store.list_for_merchant(merchant_id, filters=filters, limit=limit)
        items = page.items
        # A page may end before it is full: one looks at so many rows.
        while page.next_cursor is not None and len(items) < limit:
            page = await store.list_for_merchant(
                merchant_id, filters=filters, cursor=page.next_cursor, limit=limit - len(items)
            )
            items += page.items
        return Page(items=items, next_cursor=page.next_cursor)


async def _forget(state_dir: Path, payment_id: UUID) -> None:
    async with open_database(state_dir) as database:
        await erasure.forget_payment(database, payment_id)


async def _forget_notifications(state_dir: Path, kept: timedelta) -> int:
    async with open_database(state_dir) as database:
        return await erasure.forget_notifications(database, datetime.now(UTC) - kept)


async def _show(state_dir: Path, payment_id: UUID) -> tuple[Payment, list[Refund]]:
    async with open_database(state_dir) as database:
        payment = await PaymentStore(database).get(payment_id)
        if payment is None:
            raise NotFound(f"No payment {payment_id}.")
        return payment, await RefundStore(database).list_for_payment(payment_id)
