"""Event: a change that a merchant is sent, recorded exactly once and delivered at least once."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from domain.entitlement import Entitlement, EntitlementStatus
from domain.frozen import Frozen
from domain.payment import Payment, PaymentStatus
from domain.refund import Refund, RefundStatus
from domain.store_change import StoreChange


class EventType(StrEnum):
    """What happened."""

    PAYMENT_SUCCEEDED = "payment.succeeded"
    PAYMENT_FAILED = "payment.failed"
    PAYMENT_CLOSED = "payment.closed"
    PAYMENT_ATTENTION = "payment.attention"
    REFUND_SUCCEEDED = "refund.succeeded"
    REFUND_FAILED = "refund.failed"
    REFUND_REVERSED = "refund.reversed"
    ENTITLEMENT_CHANGED = "entitlement.changed"
    CONSUMPTION_REQUESTED = "entitlement.consumption_requested"


class DeliveryStatus(StrEnum):
    """Whether the merchant knows."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"
    NO_ENDPOINT = "no_endpoint"


class Event(Frozen):
    """What the merchant is sent about one change; `sequence` orders the events of one payment.

    `veto` is set where the merchant answered that it cannot fulfil the order: its reason, or empty.
    """

    id: UUID
    payment_id: UUID
    refund_id: UUID | None = None
    merchant_id: str
    sequence: int
    type: EventType
    data: dict[str, Any]
    created_at: datetime
    delivery: DeliveryStatus = DeliveryStatus.WAITING
    attempts: int = 0
    delivered_at: datetime | None = None
    veto: str | None = None


PAYMENT_EVENTS = {
    PaymentStatus.SUCCEEDED: EventType.PAYMENT_SUCCEEDED,
    PaymentStatus.FAILED: EventType.PAYMENT_FAILED,
    PaymentStatus.CLOSED: EventType.PAYMENT_CLOSED,
}
REFUND_EVENTS = {
    RefundStatus.SUCCEEDED: EventType.REFUND_SUCCEEDED,
    RefundStatus.FAILED: EventType.REFUND_FAILED,
    RefundStatus.REVERSED: EventType.REFUND_REVERSED,
}

# What a merchant is sent about the payment: nothing about the payer, nothing internal.
_PAYMENT_FIELDS = {
    "id", "order_no", "provider", "account", "channel", "amount", "currency", "status",
    "provider_reference", "captured", "refunded", "paid_at", "late", "duplicate", "attention",
    "failure", "metadata", "product_id", "quantity", "test", "store_price", "store_currency",
    "offer", "created_at", "expires_at",
}  # fmt: skip
_REFUND_FIELDS = {
    "id", "payment_id", "amount", "currency", "reason", "cause", "status", "provider_reference",
    "refunded_at", "attention", "failure", "created_at",
}  # fmt: skip


def payment_data(payment: Payment) -> dict[str, Any]:
    """The `data` of a payment event, JSON-ready."""
    return payment.model_dump(mode="json", include=_PAYMENT_FIELDS)


def entitlement_data(
    entitlement: Entitlement, change: StoreChange, moment: datetime
) -> dict[str, Any]:
    """The `data` of an entitlement's event at `moment`, JSON-ready, with what changed it."""
    purchase = change.purchase
    shown = entitlement.at(moment)
    return shown.model_dump(mode="json", exclude={"merchant_id", "signed_at", "app"}) | {
        "change": change.change.value,
        "raw_type": change.raw_type,
        "reason": change.reason,
        "changed_transaction_id": purchase.transaction_id if purchase else None,
        "quantity": purchase.quantity if purchase else None,
        "revoked_share": purchase.revoked_share if purchase else None,
        "has_access": shown.has_access_at(moment),
    }


def moved_data(lost: Entitlement, kept: Entitlement, change: StoreChange) -> dict[str, Any]:
    """The `data` of the event of a payment whose entitlement moved to another one, JSON-ready.

    `lost` is the entitlement before, `kept` after `change`. Of another merchant's payment it says
    nothing but that there is one.
    """
    own = lost.merchant_id == kept.merchant_id
    moved = lost.model_copy(update={"status": EntitlementStatus.MOVED})
    return moved.model_dump(mode="json", exclude={"merchant_id", "signed_at", "app"}) | {
        "change": EntitlementStatus.MOVED.value,
        "raw_type": change.raw_type if own else None,
        "reason": None,
        "changed_transaction_id": kept.transaction_id if own else None,
        "quantity": None,
        "revoked_share": None,
        "has_access": False,
        "moved_to": str(kept.payment_id) if own else None,
    }


def refund_data(refund: Refund) -> dict[str, Any]:
    """The `data` of a refund event, JSON-ready."""
    return refund.model_dump(mode="json", include=_REFUND_FIELDS)
