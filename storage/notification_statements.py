"""The queries of notifications: the payment of one, its earlier outcome, and its row."""

from datetime import timedelta
from typing import Any

from sqlalchemy import (
    Select,
    Uuid,
    and_,
    bindparam,
    case,
    func,
    literal,
    literal_column,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from domain.notification import NotificationOutcome
from storage import purchase_owner
from storage.tables import notifications, payments, refunds

# A workflow may be sent so many different notifications a day; a provider sends a handful, and
# Temporal ends an execution that was sent 10,000.
MOST_SIGNALS_A_DAY = 100
_DAY = timedelta(days=1)
# What a workflow was sent: a repeat need not be sent again.
_OUTCOMES = (
    NotificationOutcome.SIGNALLED,
    NotificationOutcome.LATE,
    NotificationOutcome.MISMATCH,
)
_HANDED_OVER = notifications.c.outcome.in_([outcome.value for outcome in _OUTCOMES])

# Built once: building a statement costs more than PostgreSQL takes to run it.
_SAME_CONTENT = (
    notifications.c.provider == bindparam("provider"),
    notifications.c.account == bindparam("account"),
    notifications.c.content_hash == bindparam("content_hash"),
)
_EARLIER = (
    select(notifications.c.outcome)
    .where(*_SAME_CONTENT, _HANDED_OVER)
    .scalar_subquery()
    .label("earlier")
)
_SIGNALS = (
    select(literal(1))
    .where(
        notifications.c.payment_id == payments.c.id,
        notifications.c.received_at > func.now() - _DAY,
        _HANDED_OVER,
    )
    .correlate(payments)
    .limit(MOST_SIGNALS_A_DAY)
    .subquery()
)
_EXCESSIVE = (
    select(func.count()).select_from(_SIGNALS).scalar_subquery() == MOST_SIGNALS_A_DAY
).label("excessive")
ADDRESSEE = select(*payments.c, _EARLIER, _EXCESSIVE).where(payments.c.id == bindparam("payment"))
# One captured payment at most has a number of the provider's (payments_one_per_provider_reference).
_BY_PROVIDERS_NUMBER = and_(
    payments.c.provider == bindparam("provider"),
    payments.c.account == bindparam("account"),
    payments.c.provider_reference == bindparam("provider_reference"),
    payments.c.captured > 0,
)
_OF_REFUND = payments.c.id.in_(
    select(refunds.c.payment_id).where(refunds.c.id == bindparam("refund", type_=Uuid()))
)
# What else identifies a payment, where none has the notification's reference.
OTHERWISE_NAMED = (
    select(*payments.c, _EARLIER, _EXCESSIVE)
    .where(or_(_BY_PROVIDERS_NUMBER, _OF_REFUND))
    .order_by(_BY_PROVIDERS_NUMBER.desc().nulls_last())
    .limit(1)
)
BUYER = purchase_owner.PAYMENT.add_columns(_EARLIER, _EXCESSIVE)
_INSERT = insert(notifications)
KEEP = _INSERT.on_conflict_do_update(
    constraint="notifications_one_per_content",
    set_={
        "repeats": notifications.c.repeats + 1,
        "last_received_at": _INSERT.excluded.received_at,
    },
).returning(notifications.c.id)
# The outcome of a signalled notification stays, whatever a repeat leads to.
_LED_TO = {
    column: case((_HANDED_OVER, notifications.c[column]), else_=bindparam(value))
    for column, value in (("outcome", "led_to"), ("detail", "why"))
}
REPEAT = (
    update(notifications)
    # An update's parameters cannot have its columns' names.
    .where(
        notifications.c.provider == bindparam("of_provider"),
        notifications.c.account == bindparam("of_account"),
        notifications.c.content_hash == bindparam("of_content"),
    )
    .values(repeats=notifications.c.repeats + 1, last_received_at=bindparam("received"), **_LED_TO)
    .returning(notifications.c.id)
)
_TODAY = text("date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'")


def _kept_today(outcome: NotificationOutcome) -> Select[Any]:
    row = select(literal(1)).where(
        notifications.c.provider == bindparam("provider"),
        notifications.c.account == bindparam("account"),
        # As its index has it, not as a parameter: only so is the index used.
        notifications.c.outcome == literal_column(f"'{outcome.value}'"),
        notifications.c.received_at >= _TODAY,
    )
    return select(func.count()).select_from(row.limit(bindparam("most")).subquery())


KEPT_TODAY = {
    outcome: _kept_today(outcome)
    for outcome in (NotificationOutcome.FOREIGN, NotificationOutcome.UNKNOWN_REFERENCE)
}
# Likewise.
NOTE = (
    update(notifications)
    .where(notifications.c.id == bindparam("row"), ~_HANDED_OVER)
    .values(outcome=bindparam("led_to"), detail=bindparam("why"))
)
