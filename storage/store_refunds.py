"""Refunds that a store makes and reverses by itself, recorded by its reports."""

from uuid import UUID

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.event import REFUND_EVENTS, refund_data
from domain.identity import automatic_refund_id, event_id
from domain.payment import Payment
from domain.purchase import WHOLE_SHARE, Ownership, Purchase
from domain.refund import Refund, RefundCause, RefundStatus
from domain.store_change import StoreChange
from storage.outbox import Entry, append_once
from storage.rows import refund_values, to_refund
from storage.tables import payments, refunds


async def follow_refunds(
    connection: AsyncConnection,
    payment: Payment,
    change: StoreChange,
    purchase: Purchase,
    *,
    subject: str,
) -> None:
    """Record the refunds that the change made or reversed, each with its event of this subject.

    None where the database has the same already. Only the transaction that paid the payment moves
    its money: a renewal's was not captured here. The caller holds the payment's row.
    """
    if purchase.transaction_id != payment.provider_reference:
        return
    recorded = await _read_recorded(connection, payment.id)
    standing = [refund for refund in recorded if refund.status is RefundStatus.SUCCEEDED]
    refunded = sum(refund.amount for refund in standing)
    owed = min(_owed(payment, purchase), payment.refundable + refunded)
    moved: list[Refund] = []
    if owed < refunded:
        moved, refunded = await _reverse(connection, standing, change), 0
    if owed > refunded:
        # Numbered: a store may refund, reverse and refund again.
        refund = _refund(payment, change, purchase, len(recorded))
        refund = refund.model_copy(update={"amount": owed - refunded})
        await connection.execute(insert(refunds).values(refund_values(refund)))
        await _move(connection, payment.id, refund.amount)
        moved.append(refund)
    for refund in moved:
        await append_once(connection, payment.id, _event_of(refund), subject)


def _event_of(refund: Refund) -> Entry:
    return Entry(
        id=event_id(refund.id, refund.status),
        type=REFUND_EVENTS[refund.status],
        data=refund_data(refund),
        refund_id=refund.id,
    )


def _refund(payment: Payment, change: StoreChange, purchase: Purchase, number: int) -> Refund:
    key = f"automatic:provider:{purchase.transaction_id}:{number}"
    return Refund(
        id=automatic_refund_id(payment.id, key),
        payment_id=payment.id,
        merchant_id=payment.merchant_id,
        idempotency_key=key,
        request_hash=key,
        provider=payment.provider,
        account=payment.account,
        amount=payment.captured,
        currency=payment.currency,
        reason=change.reason,
        cause=RefundCause.PROVIDER,
        created_at=change.signed_at,
        status=RefundStatus.SUCCEEDED,
        provider_reference=purchase.transaction_id,
        raw_status=change.raw_type,
        refunded_at=purchase.revoked_at,
    )


async def _reverse(
    connection: AsyncConnection, standing: list[Refund], change: StoreChange
) -> list[Refund]:
    reversed_refunds = [refund.reverse(change.raw_type) for refund in standing]
    for refund in reversed_refunds:
        await connection.execute(
            update(refunds)
            .where(refunds.c.id == refund.id)
            .values(status=refund.status.value, raw_status=refund.raw_status)
        )
        await _move(connection, refund.payment_id, -refund.amount)
    return reversed_refunds


def _owed(payment: Payment, purchase: Purchase) -> int:
    """Return the sum that the store has refunded of the captured one, in minor units."""
    if purchase.revoked_at is None or purchase.ownership is not Ownership.PURCHASED:
        return 0
    share = WHOLE_SHARE if purchase.revoked_share is None else purchase.revoked_share
    return payment.captured * share // WHOLE_SHARE


async def _read_recorded(connection: AsyncConnection, payment_id: UUID) -> list[Refund]:
    found = await connection.execute(
        select(refunds).where(
            refunds.c.payment_id == payment_id, refunds.c.cause == RefundCause.PROVIDER.value
        )
    )
    return [to_refund(row) for row in found.mappings()]


async def _move(connection: AsyncConnection, payment_id: UUID, amount: int) -> None:
    await connection.execute(
        update(payments)
        .where(payments.c.id == payment_id)
        .values(refunded=payments.c.refunded + amount)
    )
