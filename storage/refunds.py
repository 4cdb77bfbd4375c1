from typing import Any
from uuid import UUID

from sqlalchemy import Select, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_skip
from sqlalchemy.exc import IntegrityError

from domain.errors import KEY_REUSED, Conflict, NotFound
from domain.event import REFUND_EVENTS, refund_data
from domain.identity import event_id
from domain.payment import Payment
from domain.refund import Refund, RefundCause, RefundStatus
from domain.report import Attention
from storage import refund_statements as statements
from storage.database import Database, violated
from storage.outbox import Alarm, Entry, append_once, raise_alarm
from storage.rows import refund_values, to_payment, to_refund
from storage.tables import payments, refunds

# Why an automatic refund finds no money to reserve: only the first may change.
HELD_BY_OTHERS = "held_by_others"
ALREADY_GIVEN_BACK = "already_given_back"
_REPEATS = ("refunds_pkey", "refunds_one_per_key")


class RefundStore:
    """Refunds as rows; the payment's refund sums change in the same statement.

    Every statement locks the payment's row before the refund's, so that none deadlocks.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reserve(self, refund: Refund) -> Refund:
        """Reserve the money and record the refund; return it as stored, now or before.

        An automatic refund reserves what is refundable, up to its amount: the stored amount counts.

        Raises:
            Conflict: `refund_exceeds_captured`, `payment_not_paid`, or `idempotency_key_reused`
                where the stored request was another; HELD_BY_OTHERS or ALREADY_GIVEN_BACK where
                nothing is refundable for an automatic refund.
            NotFound: the merchant has no such payment.
        """
        stored = await self._insert(statements.RESERVE, statements.reserving(refund))
        stored = stored or await self.get(refund.id)
        if stored is None:
            raise await self._why_not(refund)
        if stored.request_hash != refund.request_hash:
            raise Conflict(KEY_REUSED, code="idempotency_key_reused")
        return stored

    async def record_refused(self, refund: Refund) -> tuple[Refund, UUID | None]:
        """Record a failed refund that never held anything, and append its event; both, as stored.

        For one that was answered as pending before the reservation failed. Where a repeat of the
        request has reserved it since, it stays as stored, and the event's id is None. NotFound
        where there is no such payment.
        """
        entry = _ended(refund)
        async with self._database.transaction() as connection:
            owner = select(payments.c.id).where(
                payments.c.id == refund.payment_id, payments.c.merchant_id == refund.merchant_id
            )
            if (await connection.execute(owner.with_for_update())).first() is None:
                raise NotFound("There is no such payment.")
            new = insert_or_skip(refunds).values(refund_values(refund)).on_conflict_do_nothing()
            await connection.execute(new)
            row = await connection.execute(select(refunds).where(refunds.c.id == refund.id))
            stored = to_refund(row.mappings().one())
            if stored.status is not RefundStatus.FAILED:
                return stored, None
            await append_once(connection, refund.payment_id, entry, subject=refund.reference)
        return stored, entry.id

    async def finalise(self, refund: Refund) -> tuple[Refund, UUID | None]:
        """Write the final status, move the payment's sums, append the event.

        A refund that has ended already is returned as it is, with the event of its own status;
        while it is pending, the event's id is None. NotFound where it was never reserved.
        """
        row = None
        if refund.status is not RefundStatus.PENDING:
            values = statements.parameters(refund) | _ended(refund).parameters
            async with self._database.statement() as connection:
                result = await connection.execute(statements.FINALISE, values)
                row = result.mappings().one_or_none()
        stored = to_refund(row) if row else await self._require(refund.id)
        if stored.status is RefundStatus.PENDING:
            return stored, None
        return stored, event_id(stored.id, stored.status)

    async def record_external(self, refund: Refund) -> tuple[Refund, UUID]:
        """Record a refund from the provider's console, and clear the attention for it.

        Returns the refund as stored, now or before, and its event.

        Raises:
            Conflict: `payment_not_paid`, `refund_exceeds_captured`, or `already_recorded` where the
                number stands at another amount or at a refund of ours.
            NotFound: there is no such payment.
        """
        for ours in await self.list_for_payment(refund.payment_id):
            own_numbers = (ours.reference, ours.provider_reference)
            if ours.id != refund.id and refund.provider_reference in own_numbers:
                raise Conflict(
                    f"{refund.provider_reference} is the number of refund {ours.id}.",
                    code="already_recorded",
                )
        values = statements.recording(refund, _ended(refund))
        stored = await self._insert(statements.RECORD_EXTERNAL, values)
        stored = stored or await self.get(refund.id)
        if stored is None:
            raise await self._why_not(refund)
        if stored.amount != refund.amount:
            raise Conflict(
                f"Refund number {refund.provider_reference} is recorded with {stored.amount}.",
                code="already_recorded",
            )
        return stored, event_id(stored.id, stored.status)

    async def flag(self, refund_id: UUID, attention: Attention, detail: str) -> UUID:
        """Set the attention; return the one event of it. NotFound."""
        refund = await self._require(refund_id)
        alarm = Alarm(attention=attention, detail=detail, refund_id=refund_id)
        async with self._database.transaction() as connection:
            await raise_alarm(connection, refund.payment_id, alarm)
            await connection.execute(
                update(refunds)
                .where(refunds.c.id == refund_id)
                .values(attention=attention.value, attention_detail=detail)
            )
        return alarm.event_of(refund.payment_id)

    async def get(self, refund_id: UUID) -> Refund | None:
        """The refund, or None."""
        async with self._database.statement() as connection:
            result = await connection.execute(select(refunds).where(refunds.c.id == refund_id))
            row = result.mappings().one_or_none()
        return to_refund(row) if row else None

    async def find(self, payment_id: UUID, idempotency_key: str) -> Refund | None:
        """The refund of the payment that the idempotency key stands for, or None."""
        statement = select(refunds).where(
            refunds.c.payment_id == payment_id, refunds.c.idempotency_key == idempotency_key
        )
        async with self._database.statement() as connection:
            row = (await connection.execute(statement)).mappings().one_or_none()
        return to_refund(row) if row else None

    async def get_for_merchant(self, merchant_id: str, refund_id: UUID) -> Refund:
        """The merchant's refund; NotFound also where it is another merchant's."""
        refund = await self.get(refund_id)
        if refund is None or refund.merchant_id != merchant_id:
            raise NotFound("There is no such refund.")
        return refund

    async def list_for_payment(self, payment_id: UUID) -> list[Refund]:
        """Oldest first; as many as the amount allows."""
        statement = (
            select(refunds)
            .where(refunds.c.payment_id == payment_id)
            .order_by(refunds.c.created_at, refunds.c.id)
        )
        async with self._database.statement() as connection:
            rows = (await connection.execute(statement)).mappings().all()
        return [to_refund(row) for row in rows]

    async def _insert(self, statement: Select[Any], values: dict[str, Any]) -> Refund | None:
        """The new row; None where it is there already or the payment does not hold the money."""
        async with self._database.statement() as connection:
            try:
                result = await connection.execute(statement, values)
            except IntegrityError as error:
                if violated(error) not in _REPEATS:
                    raise
                # The same refund was reserved while this statement waited; nothing was held twice.
                return None
            row = result.mappings().one_or_none()
        return to_refund(row) if row else None

    async def _why_not(self, refund: Refund) -> Conflict | NotFound:
        async with self._database.statement() as connection:
            result = await connection.execute(
                select(payments).where(payments.c.id == refund.payment_id)
            )
            row = result.mappings().one_or_none()
        if row is None or row["merchant_id"] != refund.merchant_id:
            return NotFound("There is no such payment.")
        return _shortage(to_payment(row), refund)

    async def _require(self, refund_id: UUID) -> Refund:
        refund = await self.get(refund_id)
        if refund is None:
            raise NotFound("There is no such refund.")
        return refund


def _ended(refund: Refund) -> Entry:
    """The event of the refund's final status."""
    return Entry(
        id=event_id(refund.id, refund.status),
        type=REFUND_EVENTS[refund.status],
        data=refund_data(refund),
        refund_id=refund.id,
    )


def _shortage(payment: Payment, refund: Refund) -> Conflict:
    if not payment.is_paid:
        return Conflict("The payment has not been paid.", code="payment_not_paid")
    if payment.currency != refund.currency:
        return Conflict(f"The payment is in {payment.currency}.", code="currency_differs")
    if refund.cause not in (RefundCause.REQUESTED, RefundCause.PROVIDER):
        return _nothing_refundable(payment)
    return Conflict(
        f"The refund is of {refund.amount}; {payment.refundable} is refundable.",
        code="refund_exceeds_captured",
    )


def _nothing_refundable(payment: Payment) -> Conflict:
    if payment.refunded < payment.captured:
        return Conflict("Other refunds hold the money.", code=HELD_BY_OTHERS)
    return Conflict("Everything was refunded already.", code=ALREADY_GIVEN_BACK)
