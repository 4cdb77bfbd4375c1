from datetime import datetime
from uuid import UUID

from domain.checkout import Created
from domain.frozen import Frozen
from domain.payment import Channel, Payment, PaymentStatus
from domain.report import Attention
from storage.database import Database
from storage.page import LARGEST_PAGE, Page


class PaymentFilters(Frozen):
    """What a merchant narrows its list by; None does not narrow."""

    status: PaymentStatus | None = None
    provider: str | None = None
    channel: Channel | None = None
    order_no: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    attention: bool | None = None


class PaymentStore:
    """Payments as rows. Every verb may be repeated."""

    def __init__(self, database: Database) -> None: ...

    async def record(self, payment: Payment) -> Payment:
        """Conflict: idempotency_key_reused, order_already_paid."""
        raise NotImplementedError

    async def save_checkout(self, payment_id: UUID, created: Created) -> None:
        raise NotImplementedError

    async def finalise(self, payment: Payment) -> tuple[Payment, UUID | None]:
        """ReportMismatch where another captured payment holds this provider_reference."""
        raise NotImplementedError

    async def capture_late(self, payment: Payment) -> Payment:
        raise NotImplementedError

    async def accept_late(self, payment_id: UUID) -> tuple[Payment, UUID | None]:
        """None where there is nothing to accept (not late, or already being refunded)."""
        raise NotImplementedError

    async def flag(
        self, payment_id: UUID, attention: Attention, detail: str, refund_id: UUID | None = None
    ) -> UUID:
        raise NotImplementedError

    async def clear(self, payment_id: UUID) -> None:
        raise NotImplementedError

    async def get(self, payment_id: UUID) -> Payment | None:
        raise NotImplementedError

    async def get_for_merchant(self, merchant_id: str, payment_id: UUID) -> Payment:
        """NotFound."""
        raise NotImplementedError

    async def list_for_merchant(
        self,
        merchant_id: str,
        *,
        filters: PaymentFilters = PaymentFilters(),  # noqa: B008 - frozen
        cursor: str | None = None,
        limit: int = LARGEST_PAGE,
    ) -> Page[Payment]:
        raise NotImplementedError
