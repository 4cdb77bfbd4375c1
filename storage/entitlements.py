from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Text as SqlText
from sqlalchemy import exists, func, literal, or_, select, update

from domain.entitlement import Entitlement
from domain.errors import Conflict, NotFound
from domain.event import EventType, entitlement_data
from domain.frozen import Frozen
from domain.identity import event_id
from domain.payment import Payment
from domain.purchase import Purchase
from domain.store_change import Change, StoreChange
from storage import purchase_owner
from storage.database import Database
from storage.grants import (
    Granted,
    claim,
    find_moved_event,
    grant,
    lock_payments,
    of_chain_of,
)
from storage.outbox import Entry, append_once
from storage.rows import to_entitlement, to_payment
from storage.store_refunds import follow_refunds
from storage.tables import entitlements, events, grants, payments


class Applied(Frozen):
    """The entitlement after a report, and the events of the change, in order.

    The last may be the event of the payment that lost the entitlement to this one.
    """

    entitlement: Entitlement
    event_ids: list[UUID]


class Owners(Frozen):
    """The payments that a transaction, and the chain that it belongs to, were granted to."""

    transaction: UUID | None
    chain: UUID | None


class EntitlementStore:
    """What buyers are entitled to, and the grants of it. Every verb may be repeated."""

    def __init__(self, database: Database, clock: Callable[[], datetime] | None = None) -> None:
        """`clock` gives aware datetimes; else it is the machine's."""
        self._database = database
        self._clock = clock or _now

    async def claim(self, payment_id: UUID, purchase: Purchase) -> None:
        """Bind a transaction that names no payment to this one; the first claim wins and stays.

        Raises ReportMismatch (`purchase_claimed`) where another payment has it.
        """
        number = func.coalesce(
            payments.c.provider_reference, literal(purchase.transaction_id, SqlText())
        )
        async with self._database.transaction() as connection:
            # So that a query finds it at the provider, which does not name the payment.
            await connection.execute(
                update(payments)
                .where(payments.c.id == payment_id)
                .values(provider_reference=number)
            )
            await claim(connection, payment_id, purchase)

    async def apply(self, payment_id: UUID, report_id: str, change: StoreChange) -> Applied:
        """Grant, entitle and refund as the store reports, in one transaction with the events.

        Raises:
            Conflict: `payment_not_paid` while the payment has no money that could be granted for.
            ReportMismatch: the transaction was granted to another payment.
            NotFound: there is no such payment, or the report has no purchase.
        """
        purchase = change.standing
        if purchase is None:
            raise NotFound("The report has no purchase.")
        async with self._database.transaction() as connection:
            payment = await lock_payments(connection, payment_id, purchase)
            if payment is None:
                raise NotFound("There is no such payment.")
            if not payment.is_paid:
                raise Conflict("The payment has not been paid.", code="payment_not_paid")
            granted = await grant(connection, payment, change, purchase, subject=report_id)
            shown = granted.after
            if shown.merchant_id != payment.merchant_id:
                # The chain goes on at another merchant: each learns of its own purchase alone.
                shown = Entitlement.opened(payment, change, purchase)
            data = entitlement_data(shown, change, self._clock())
            for entry in _entries(payment_id, report_id, change, granted, data):
                await append_once(connection, payment_id, entry, report_id)
            if granted.newest:
                await follow_refunds(connection, payment, change, purchase, subject=report_id)
            found = await connection.execute(
                select(events.c.id)
                .where(events.c.payment_id == payment_id, events.c.subject == report_id)
                .order_by(events.c.sequence)
            )
            event_ids = list(found.scalars())
            if lost := await find_moved_event(connection, payment_id, report_id):
                event_ids.append(lost)
            return Applied(entitlement=granted.after, event_ids=event_ids)

    async def owners(self, purchase: Purchase) -> Owners:
        """Which payments the transaction and its chain were granted to so far."""
        async with self._database.statement() as connection:
            row = await connection.execute(purchase_owner.OWNERS, purchase_owner.of(purchase))
            return Owners.model_validate(dict(row.mappings().one()))

    async def payment_of(self, purchase: Purchase) -> Payment | None:
        """The payment that the purchase, or the chain that it renews, was granted to or names.

        A buyer who buys again in an old chain names the new payment; a renewal names the first one.
        """
        async with self._database.statement() as connection:
            found = await connection.execute(purchase_owner.PAYMENT, purchase_owner.of(purchase))
            row = found.mappings().one_or_none()
        return to_payment(row) if row else None

    async def get(self, purchase: Purchase) -> Entitlement | None:
        """The entitlement of the purchase's chain, or None."""
        statement = select(entitlements).where(of_chain_of(purchase))
        async with self._database.statement() as connection:
            row = (await connection.execute(statement)).mappings().one_or_none()
        return to_entitlement(row) if row else None

    async def has_sold(
        self, merchant_id: str, provider: str, apps: Collection[str], transaction_id: str
    ) -> bool:
        """Whether the transaction, or a chain of this id, was granted to the merchant."""
        granted = select(grants.c.payment_id).where(
            grants.c.provider == provider,
            grants.c.app.in_(apps),
            grants.c.transaction_id == transaction_id,
            grants.c.payment_id == payments.c.id,
            payments.c.merchant_id == merchant_id,
        )
        entitled = select(entitlements.c.payment_id).where(
            entitlements.c.provider == provider,
            entitlements.c.app.in_(apps),
            entitlements.c.original_transaction_id == transaction_id,
            entitlements.c.merchant_id == merchant_id,
        )
        async with self._database.statement() as connection:
            found = await connection.execute(select(or_(exists(granted), exists(entitled))))
            return bool(found.scalar_one())

    async def list_for_payment(self, payment_id: UUID) -> list[Entitlement]:
        """The payment's own first; more than one where a buyer bought again with its token."""
        statement = (
            select(entitlements)
            .where(entitlements.c.payment_id == payment_id)
            .order_by(entitlements.c.purchased_at, entitlements.c.original_transaction_id)
        )
        async with self._database.statement() as connection:
            rows = (await connection.execute(statement)).mappings().all()
        return [to_entitlement(row) for row in rows]


def _entries(
    payment_id: UUID, report_id: str, change: StoreChange, granted: Granted, data: dict[str, Any]
) -> list[Entry]:
    types = [EventType.ENTITLEMENT_CHANGED] if granted.changed else []
    if change.change is Change.CONSUMPTION_REQUESTED:
        types.append(EventType.CONSUMPTION_REQUESTED)
    return [
        Entry(id=event_id(payment_id, f"{kind}:{report_id}"), type=kind, data=data)
        for kind in types
    ]


def _now() -> datetime:
    return datetime.now(UTC)
