from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningUpdate

from domain.checkout import Created
from domain.errors import KEY_REUSED, Conflict, ConstraintViolation, NotFound, ReportMismatch
from domain.event import PAYMENT_EVENTS, DeliveryStatus, EventType, payment_data
from domain.identity import event_id
from domain.payment import LATE_TRANSITIONS, Payment, PaymentStatus
from domain.report import Attention
from storage import payment_statements as statements
from storage.database import Database, violated
from storage.grants import (
    find_moved_event,
    find_refund_events,
    grant_purchase,
    lock_payments,
)
from storage.outbox import Alarm, Entry, raise_alarm
from storage.page import LARGEST_PAGE, Page, read_page
from storage.payment_filters import PaymentFilters
from storage.rows import named, to_payment
from storage.tables import events, payments

_NO_FILTERS = PaymentFilters()


class _PaidMeanwhile(ConstraintViolation):
    """Another payment of the order succeeded while a statement ran."""


class PaymentStore:
    """Payments as rows. Every verb may be repeated, and a repeat changes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, payment: Payment) -> Payment:
        """The payment as stored, by this call or an earlier one.

        Raises:
            Conflict: `idempotency_key_reused` where the stored request was another;
                `order_already_paid` where a new payment's order has been paid.
        """
        async with self._database.statement() as connection:
            result = await connection.execute(statements.RECORD, statements.parameters(payment))
            row = result.mappings().one_or_none()
        # No row: the order is paid, or the same request won a race that this statement cannot see.
        stored = to_payment(row) if row else await self.get(payment.id)
        if stored is None:
            raise Conflict(f"Order {payment.order_no} is paid already.", code="order_already_paid")
        if stored.request_hash != payment.request_hash:
            raise Conflict(KEY_REUSED, code="idempotency_key_reused")
        return stored

    async def save_checkout(self, payment_id: UUID, created: Created) -> None:
        """Store the checkout while the payment is pending. NotFound."""
        values = {
            "id": payment_id,
            "checkout": created.checkout.model_dump(mode="json"),
            "provider_reference": created.provider_reference,
        }
        await self._change(payment_id, statements.SAVE_CHECKOUT, named(values))

    async def finalise(self, payment: Payment) -> tuple[Payment, UUID | None]:
        """Write the final status and append its event; the row and the event's id.

        A row that is final already is returned as it is, with the event of its own status.

        Raises:
            ReportMismatch: another captured payment holds this `provider_reference`.
            NotFound: the payment was never recorded.
        """
        if payment.status is PaymentStatus.PENDING:
            return await self._require(payment.id), None
        entry = Entry(
            id=event_id(payment.id, payment.status),
            type=PAYMENT_EVENTS[payment.status],
            data=payment_data(payment),
        )
        final = await self._append(statements.FINALISE, payment, entry)
        return await self._with_event(payment.id, final)

    async def unsent_end(self, payment: Payment) -> UUID | None:
        """Return the event of the end before this one that no delivery has settled, if any.

        A late payment that was accepted ends a second time.
        """
        if not payment.late or payment.status is not PaymentStatus.SUCCEEDED:
            return None
        ends = [PAYMENT_EVENTS[status].value for status in LATE_TRANSITIONS]
        statement = select(events.c.id).where(
            events.c.payment_id == payment.id,
            events.c.type.in_(ends),
            events.c.delivery == DeliveryStatus.WAITING.value,
        )
        async with self._database.statement() as connection:
            found: UUID | None = await connection.scalar(statement)
        return found

    async def capture_late(self, payment: Payment) -> Payment:
        """Capture money of a closed or failed payment; return the row as stored.

        Raises:
            ReportMismatch: another captured payment holds this `provider_reference`.
            NotFound: the payment was never recorded.
        """
        taken = await self._write(statements.CAPTURE_LATE, statements.parameters(payment), payment)
        return taken or await self._require(payment.id)

    async def accept_late(self, payment_id: UUID) -> tuple[Payment, UUID | None]:
        """Take a late payment as paid and append `payment.succeeded`.

        The event's id is None where there is nothing to accept: the payment is not late, or its
        money is being refunded.
        """
        accepted = (await self._require(payment_id)).accept_late()
        entry = Entry(
            id=event_id(payment_id, PaymentStatus.SUCCEEDED),
            type=EventType.PAYMENT_SUCCEEDED,
            data=payment_data(accepted),
        )
        row = await self._append(statements.ACCEPT_LATE, accepted, entry)
        payment, event = await self._with_event(payment_id, row)
        return payment, event if payment.status is PaymentStatus.SUCCEEDED else None

    async def find_moved_event(self, payment: Payment) -> UUID | None:
        """The event of the payment that lost an entitlement to this one's purchase, or None."""
        if payment.product_id is None or payment.provider_reference is None:
            return None
        async with self._database.statement() as connection:
            return await find_moved_event(connection, payment.id, payment.provider_reference)

    async def find_refund_events(self, payment: Payment) -> list[UUID]:
        """The events of what the store had refunded before the payment learned of its purchase."""
        if payment.product_id is None or payment.provider_reference is None:
            return []
        if not payment.refunded:
            return []  # no further statement for a payment that was simply bought
        async with self._database.statement() as connection:
            return await find_refund_events(connection, payment.id, payment.provider_reference)

    async def flag(
        self,
        payment_id: UUID,
        attention: Attention,
        detail: str,
        *,
        subject: str | None = None,
        refunded: int | None = None,
    ) -> UUID | None:
        """Set the attention; return the one event of this attention and subject.

        None where our refunds account for all of `refunded` by now. Raises NotFound.
        """
        alarm = Alarm(attention=attention, detail=detail, subject=subject, refunded=refunded)
        async with self._database.transaction() as connection:
            if not await raise_alarm(connection, payment_id, alarm):
                return None
            await connection.execute(
                update(payments)
                .where(payments.c.id == payment_id)
                .values(attention=alarm.attention.value, attention_detail=alarm.detail)
            )
        return alarm.event_of(payment_id)

    async def clear(self, payment_id: UUID, attention: Attention | None = None) -> None:
        """Clear the attention, or only one for this reason. NotFound."""
        cleared = update(payments).where(payments.c.id == payment_id)
        if attention is not None:
            cleared = cleared.where(payments.c.attention == attention.value)
        cleared = cleared.values(attention=None, attention_detail=None)
        await self._change(payment_id, cleared.returning(payments.c.id))

    async def get(self, payment_id: UUID) -> Payment | None:
        """The payment, or None."""
        async with self._database.statement() as connection:
            result = await connection.execute(select(payments).where(payments.c.id == payment_id))
            row = result.mappings().one_or_none()
        return to_payment(row) if row else None

    async def find(self, merchant_id: str, idempotency_key: str) -> Payment | None:
        """The payment that the merchant's idempotency key stands for, or None."""
        statement = select(payments).where(
            payments.c.merchant_id == merchant_id, payments.c.idempotency_key == idempotency_key
        )
        async with self._database.statement() as connection:
            row = (await connection.execute(statement)).mappings().one_or_none()
        return to_payment(row) if row else None

    async def get_for_merchant(self, merchant_id: str, payment_id: UUID) -> Payment:
        """The merchant's payment; NotFound also where it is another merchant's."""
        payment = await self.get(payment_id)
        if payment is None or payment.merchant_id != merchant_id:
            raise NotFound("There is no such payment.")
        return payment

    async def list_for_merchant(
        self,
        merchant_id: str,
        *,
        filters: PaymentFilters = _NO_FILTERS,
        cursor: str | None = None,
        limit: int = LARGEST_PAGE,
    ) -> Page[Payment]:
        """Newest first. InvalidRequest for a foreign cursor or a limit out of range."""
        statement = select(payments).where(payments.c.merchant_id == merchant_id)
        async with self._database.statement() as connection:
            return await read_page(
                connection,
                statement.where(*filters.indexed()),
                payments,
                convert=to_payment,
                unindexed=filters.unindexed(),
                cursor=cursor,
                limit=limit,
            )

    async def _append(
        self, statement: Select[Any], payment: Payment, entry: Entry
    ) -> Payment | None:
        """The row as changed, its event appended; None where its state was another."""
        values = statements.parameters(payment) | entry.parameters
        try:
            return await self._write(statement, values, payment)
        except _PaidMeanwhile:
            # That is committed, so the same statement now sees it and marks this one as the
            # duplicate.
            return await self._write(statement, values, payment)

    async def _write(
        self, statement: Select[Any], values: dict[str, Any], payment: Payment
    ) -> Payment | None:
        """The row as changed, its purchase granted; None where nothing changed."""
        async with self._capturing(payment) as connection:
            if payment.purchase is not None:
                await lock_payments(connection, payment.id, payment.purchase)
            try:
                result = await connection.execute(statement, values)
            except IntegrityError as error:
                raise _meaning(error) from error
            row = result.mappings().one_or_none()
            written = to_payment(row) if row else None
            if written is not None and payment.purchase is not None:
                written = await grant_purchase(connection, written, payment.purchase)
        return written

    def _capturing(self, payment: Payment) -> AbstractAsyncContextManager[AsyncConnection]:
        """One statement, or a transaction where a purchase is granted with the capture."""
        if payment.purchase is None:
            return self._database.statement()
        return self._database.transaction()

    async def _with_event(
        self, payment_id: UUID, changed: Payment | None
    ) -> tuple[Payment, UUID | None]:
        payment = changed or await self._require(payment_id)
        if payment.status is PaymentStatus.PENDING:
            return payment, None
        return payment, event_id(payment_id, payment.status)

    async def _require(self, payment_id: UUID) -> Payment:
        payment = await self.get(payment_id)
        if payment is None:
            raise NotFound("There is no such payment.")
        return payment

    async def _change(
        self, payment_id: UUID, change: ReturningUpdate[Any], values: dict[str, Any] | None = None
    ) -> None:
        """Change the payment, or nothing where its state is another than the change is for."""
        async with self._database.statement() as connection:
            row = (await connection.execute(change, values)).first()
        if row is None:
            await self._require(payment_id)


def _meaning(error: IntegrityError) -> Exception:
    """The error that a violated constraint stands for; itself where it is a defect."""
    rule = violated(error)
    if rule == statements.ONE_PER_REFERENCE:
        return ReportMismatch("Another payment was captured under this provider reference.")
    if rule == statements.ONE_SUCCESS:
        return _PaidMeanwhile("Another payment of the order succeeded in this moment.")
    return error
