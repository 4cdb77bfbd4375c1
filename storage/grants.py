"""The only writers of grants and entitlements: in the transaction that captures their payment.

Every function works on the caller's transaction, which holds the payment's row. The order of all
locks is chain (an advisory lock), payment, grant, entitlement.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.entitlement import Entitlement
from domain.errors import ReportMismatch
from domain.event import EventType, moved_data
from domain.frozen import Frozen
from domain.identity import event_id
from domain.payment import Payment
from domain.purchase import Purchase
from domain.store_change import Change, StoreChange
from storage.outbox import Entry, append_once
from storage.rows import to_entitlement, to_payment
from storage.store_refunds import follow_refunds
from storage.tables import entitlements, events, grants, payments

_KEPT = set(grants.c.keys()) & set(Purchase.model_fields)


class Granted(Frozen):
    """The result of applying a store's report.

    `newest` where no later report of this transaction was applied before, `revocation` where the
    report changes what is known of the transaction's refund by the store.
    """

    before: Entitlement | None
    after: Entitlement
    newest: bool
    revocation: bool

    @property
    def has_moved(self) -> bool:
        """Whether the entitlement was another payment's before."""
        return self.before is not None and self.before.payment_id != self.after.payment_id

    @property
    def changed(self) -> bool:
        """Whether the merchant gets an event."""
        ignored = {"signed_at"}
        before = self.before and self.before.model_dump(exclude=ignored)
        return self.revocation or before != self.after.model_dump(exclude=ignored)


class _Snapshot(Frozen):
    """What a later report of a purchase may change."""

    signed_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    revoked_share: int | None


async def grant_purchase(
    connection: AsyncConnection, payment: Payment, purchase: Purchase
) -> Payment:
    """Grant what the payment's own purchase bought, and record what the store has refunded of it.

    Return the payment as it is stored then.

    Where the payment learns of its purchase after the refund, and by a query, nothing else records
    the refund: its notification is older than what is known then, or was lost.
    """
    bought = StoreChange(
        purchase=purchase,
        change=Change.PURCHASED,
        raw_type=payment.raw_status or "",
        signed_at=purchase.signed_at,
    )
    subject = purchase.transaction_id
    await grant(connection, payment, bought, purchase, subject=subject)
    if purchase.revoked_at is None:
        return payment
    await follow_refunds(connection, payment, bought, purchase, subject=subject)
    found = await connection.execute(select(payments).where(payments.c.id == payment.id))
    return to_payment(found.mappings().one())


async def lock_payments(
    connection: AsyncConnection, payment_id: UUID, purchase: Purchase
) -> Payment | None:
    """Lock the payment and the one that its purchase's chain belongs to; returns the first.

    The chain first: its owner must not change while this waits for a payment. Then the payments in
    the order of their ids, so that two that take chains from each other do not deadlock.
    """
    await connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:chain, 0))"),
        {"chain": f"{purchase.provider}:{purchase.app}:{purchase.original_transaction_id}"},
    )
    of_chain = select(entitlements.c.payment_id).where(of_chain_of(purchase)).scalar_subquery()
    found = await connection.execute(
        select(payments)
        .where(or_(payments.c.id == payment_id, payments.c.id == of_chain))
        .order_by(payments.c.id)
        .with_for_update()
    )
    rows = [row for row in found.mappings() if row["id"] == payment_id]
    return to_payment(rows[0]) if rows else None


def moved_event_id(payment_id: UUID, subject: str) -> UUID:
    """The event that the payment which lost an entitlement to this one is sent.

    `subject` is the report's id, or the transaction that paid this payment.
    """
    return event_id(payment_id, f"{EventType.ENTITLEMENT_CHANGED}:{_moved(subject)}")


async def find_moved_event(
    connection: AsyncConnection, payment_id: UUID, subject: str
) -> UUID | None:
    """The id of that event; None where no payment lost anything."""
    wanted = moved_event_id(payment_id, subject)
    found = await connection.execute(select(events.c.id).where(events.c.id == wanted))
    return found.scalar_one_or_none()


async def find_refund_events(
    connection: AsyncConnection, payment_id: UUID, subject: str
) -> list[UUID]:
    """The events of refunds that were recorded with this subject, in order."""
    found = await connection.execute(
        select(events.c.id)
        .where(
            events.c.payment_id == payment_id,
            events.c.subject == subject,
            events.c.refund_id.is_not(None),
        )
        .order_by(events.c.sequence)
    )
    return list(found.scalars())


async def grant(
    connection: AsyncConnection,
    payment: Payment,
    change: StoreChange,
    purchase: Purchase,
    *,
    subject: str,
) -> Granted:
    """Bind the transaction to the payment and apply the report to its entitlement; idempotent.

    A payment that loses its entitlement by this gets an event, `moved_event_id`.

    Raises ReportMismatch where the transaction was granted to another payment.
    """
    known = await claim(connection, payment.id, purchase)
    reported = _snapshot(purchase, change.signed_at)
    newest = reported.signed_at >= known.signed_at
    # A claim stores the snapshot of a new transaction: there is nothing to change then.
    if newest and reported != known:
        changed = update(grants).where(is_granted(purchase))
        await connection.execute(changed.values(reported.model_dump()))
    opened = Entitlement.opened(payment, change, purchase)
    before = await _open(connection, opened)
    after = opened if before is None else _applied(before, payment, change)
    if before is not None and after != before:
        await connection.execute(
            update(entitlements)
            .where(of_chain_of(purchase))
            .values(
                after.model_dump(exclude={"provider", "account", "app", "original_transaction_id"})
            )
        )
    revoked = (reported.revoked_at, reported.revoked_share)
    revocation = newest and revoked != (known.revoked_at, known.revoked_share)
    granted = Granted(before=before, after=after, newest=newest, revocation=revocation)
    if before is not None and granted.has_moved:
        entry = Entry(
            id=moved_event_id(payment.id, subject),
            type=EventType.ENTITLEMENT_CHANGED,
            data=moved_data(before, after, change),
        )
        await append_once(connection, before.payment_id, entry, _moved(subject))
    return granted


def _moved(subject: str) -> str:
    return f"moved:{subject}"


async def claim(connection: AsyncConnection, payment_id: UUID, purchase: Purchase) -> _Snapshot:
    """Bind the transaction to the payment and lock it; what was known. ReportMismatch."""
    values = purchase.model_dump(include=_KEPT) | {"payment_id": payment_id}
    # Of a new transaction, no refund by the store is recorded yet.
    values |= {"revoked_at": None, "revoked_share": None}
    offered = insert(grants).values(values)
    # Not "do nothing": that would neither lock the row that is there nor hand it back.
    found = await connection.execute(
        offered.on_conflict_do_update(
            constraint=grants.primary_key, set_={"payment_id": grants.c.payment_id}
        ).returning(*grants.c)
    )
    row = found.mappings().one()
    if row["payment_id"] != payment_id:
        raise ReportMismatch(
            "Another payment was granted this transaction.", code="purchase_claimed"
        )
    return _Snapshot.model_validate(row)


def _snapshot(purchase: Purchase, signed_at: datetime) -> _Snapshot:
    kept = purchase.model_dump(include=set(_Snapshot.model_fields))
    return _Snapshot.model_validate(kept | {"signed_at": signed_at})


def _applied(before: Entitlement, payment: Payment, change: StoreChange) -> Entitlement:
    after = before.apply(change)
    return after if after.transaction_id == before.transaction_id else after.paid_by(payment)


async def _open(connection: AsyncConnection, opened: Entitlement) -> Entitlement | None:
    """Insert the entitlement of a new chain; else return the existing one, locked."""
    inserted = await connection.execute(
        insert(entitlements)
        .values(opened.model_dump())
        .on_conflict_do_nothing()
        .returning(entitlements.c.transaction_id)
    )
    if inserted.first() is not None:
        return None
    found = await connection.execute(
        select(entitlements).where(of_chain_of(opened)).with_for_update()
    )
    return to_entitlement(found.mappings().one())


def is_granted(purchase: Purchase) -> ColumnElement[bool]:
    """The grant of this transaction."""
    return and_(
        grants.c.provider == purchase.provider,
        grants.c.app == purchase.app,
        grants.c.transaction_id == purchase.transaction_id,
    )


def of_chain_of(chain: Purchase | Entitlement) -> ColumnElement[bool]:
    """The entitlement of this chain."""
    return and_(
        entitlements.c.provider == chain.provider,
        entitlements.c.app == chain.app,
        entitlements.c.original_transaction_id == chain.original_transaction_id,
    )
