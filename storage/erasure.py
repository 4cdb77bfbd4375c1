"""Erase what is personal in a payment, and old notifications' bodies. The facts of the money stay.

Both run as functions of the tables' owner (`migrations/initial/erasure.sql`): the runtime role
may update none of these columns itself.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, bindparam, func, select
from sqlalchemy.exc import IntegrityError

from domain.errors import Conflict, NotFound
from storage.database import Database, violated

# So many that no batch comes near the time that a statement may take.
NOTIFICATIONS_PER_STATEMENT = 1000
# Rules of the functions.
_WHEN_OVER = "payments_forgotten_when_over"
_TOO_YOUNG = "notifications_kept_for_30_days"

_FORGET_PAYMENT = select(func.forget_payment(bindparam("payment_id")))
_FORGET_NOTIFICATIONS = select(
    func.forget_notifications(
        bindparam("moment", type_=DateTime(timezone=True)), NOTIFICATIONS_PER_STATEMENT
    )
)


async def forget_payment(database: Database, payment_id: UUID) -> None:
    """Erase every free text of the payment, its refunds, events and notifications; repeatable.

    That is subject, metadata, return URL, checkout, the reasons of refunds and vetoes, providers'
    messages about failures, delivery errors, and the raw notifications. Amounts, statuses, times,
    order numbers, keys and provider numbers stay, and the payment can still be refunded. What
    comes later about it is stored without such text.

    Raises:
        NotFound: there is no such payment.
        Conflict: `payment_not_over` while it, a refund or the delivery of an event is under way.
    """
    async with database.statement() as connection:
        try:
            found = await connection.scalar(_FORGET_PAYMENT, {"payment_id": payment_id})
        except IntegrityError as error:
            if violated(error) != _WHEN_OVER:
                raise
            raise Conflict(
                "The payment, a refund of it or the delivery of an event is still under way:"
                " forget it once all have ended (an open payment can be cancelled).",
                code="payment_not_over",
            ) from None
    if not found:
        raise NotFound(f"There is no payment {payment_id}.")


async def forget_notifications(database: Database, moment: datetime) -> int:
    """Erase the bodies and headers of notifications received before `moment`; how many had any.

    That a notification came, when, and what it led to stays.

    Raises Conflict `notifications_too_young` for a moment within the last 30 days: until then they
    are evidence that no process of ours can remove.
    """
    forgotten = 0
    async with database.statement() as connection:
        try:
            while batch := await connection.scalar(_FORGET_NOTIFICATIONS, {"moment": moment}):
                forgotten += batch
        except IntegrityError as error:
            if violated(error) != _TOO_YOUNG:
                raise
            raise Conflict(
                "Notifications of the last 30 days are evidence and stay: give an earlier time.",
                code="notifications_too_young",
            ) from None
    return forgotten
