from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg

from domain.payment import Payment, PaymentStatus
from domain.refund import Refund, RefundStatus

NewPayment = Callable[..., Payment]
NewRefund = Callable[..., Refund]
Paid = Callable[..., Awaitable[Payment]]
EventRows = Callable[[UUID], Awaitable[list[asyncpg.Record]]]


def succeeded(payment: Payment, **changes: Any) -> Payment:
    """The payment after its provider said that it is paid."""
    fields: dict[str, Any] = {
        "status": PaymentStatus.SUCCEEDED,
        "captured": payment.amount,
        "provider_reference": f"provider-{payment.id.hex}",
        "raw_status": "TRADE_SUCCESS",
        "paid_at": payment.created_at + timedelta(minutes=1),
    }
    return payment.model_copy(update=fields | changes)


def closed(payment: Payment) -> Payment:
    """The payment after it expired unpaid."""
    return payment.model_copy(update={"status": PaymentStatus.CLOSED, "raw_status": "TRADE_CLOSED"})


def paid_late(payment: Payment) -> Payment:
    """The closed payment after money came for it nevertheless."""
    return succeeded(payment, status=payment.status, late=True)


def ended(refund: Refund, status: RefundStatus = RefundStatus.SUCCEEDED) -> Refund:
    """The refund after its provider said how it ended."""
    return refund.model_copy(update={"status": status, "raw_status": status.name})
