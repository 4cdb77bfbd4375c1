"""What a merchant narrows its list of payments by, and which of it an index serves."""

from datetime import datetime

from sqlalchemy import ColumnElement

from domain.frozen import Frozen
from domain.payment import Channel, PaymentStatus
from storage.tables import payments

_columns = payments.c


class PaymentFilters(Frozen):
    """None does not narrow."""

    status: PaymentStatus | None = None
    provider: str | None = None
    channel: Channel | None = None
    order_no: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    attention: bool | None = None

    def indexed(self) -> list[ColumnElement[bool]]:
        """Conditions under which only rows are read that fulfil them."""
        conditions = []
        if self.order_no is not None:
            conditions.append(_columns.order_no == self.order_no)
        if self.created_from is not None:
            conditions.append(_columns.created_at >= self.created_from)
        if self.created_to is not None:
            conditions.append(_columns.created_at < self.created_to)
        if self.attention:
            conditions.append(_columns.attention.is_not(None))
        return conditions

    def unindexed(self) -> list[ColumnElement[bool]]:
        """Conditions that every row must be read for."""
        conditions: list[ColumnElement[bool]] = [
            _columns[name] == wanted
            for name in ("status", "provider", "channel")
            if (wanted := getattr(self, name)) is not None
        ]
        if self.attention is False:
            conditions.append(_columns.attention.is_(None))
        return conditions
