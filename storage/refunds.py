from uuid import UUID

from domain.refund import Refund
from domain.report import Attention
from storage.database import Database


class RefundStore:
    """Refunds as rows; each move of money moves the payment's row in the same transaction."""

    def __init__(self, database: Database) -> None: ...

    async def reserve(self, refund: Refund) -> Refund:
        """Conflict: refund_exceeds_captured, payment_not_paid, idempotency_key_reused. NotFound."""
        raise NotImplementedError

    async def settle(self, refund: Refund) -> tuple[Refund, UUID | None]:
        raise NotImplementedError

    async def flag(self, refund_id: UUID, attention: Attention, detail: str) -> UUID:
        raise NotImplementedError

    async def get(self, refund_id: UUID) -> Refund | None:
        raise NotImplementedError

    async def get_for_merchant(self, merchant_id: str, refund_id: UUID) -> Refund:
        """NotFound."""
        raise NotImplementedError

    async def list_for_payment(self, payment_id: UUID) -> list[Refund]:
        raise NotImplementedError
