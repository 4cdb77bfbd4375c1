"""One id everywhere: derived from the request, so that the same request is the same payment.

As 32 hex characters (`reference`) the id is our order number at the provider and part of the
workflow's id, so a notification finds its workflow with no look-up.
"""

from uuid import UUID, uuid5

# Fixed for ever: changing it would give every repeated request a new payment.
_NAMESPACE = UUID("5f1d7b52-3c0e-4c7e-9f0a-6b1f0c2d9a11")


def payment_id(merchant_id: str, idempotency_key: str) -> UUID:
    """The payment that this merchant's key stands for."""
    return uuid5(_NAMESPACE, f"payment\x1f{merchant_id}\x1f{idempotency_key}")


def refund_id(payment: UUID, idempotency_key: str) -> UUID:
    """The refund of this payment that the key stands for."""
    return uuid5(_NAMESPACE, f"refund\x1f{payment.hex}\x1f{idempotency_key}")


def event_id(subject: UUID, change: str) -> UUID:
    """The event of one change of a payment or refund; the same change is the same event."""
    return uuid5(_NAMESPACE, f"event\x1f{subject.hex}\x1f{change}")


def payment_workflow_id(payment: UUID) -> str:
    """`payment-<hex>`."""
    return f"payment-{payment.hex}"


def refund_workflow_id(refund: UUID) -> str:
    """`refund-<hex>`."""
    return f"refund-{refund.hex}"


def late_workflow_id(payment: UUID) -> str:
    """`late-<hex>`, of the payment."""
    return f"late-{payment.hex}"


def store_workflow_id(provider: str, account: str, original_transaction_id: str) -> str:
    """`store-<provider>-<account>-<number>`, of one chain of purchases."""
    return f"store-{provider}-{account}-{original_transaction_id}"


def parse_reference(reference: str) -> UUID | None:
    """Our id from a provider's order number; None where it was never ours."""
    if len(reference) != 32 or not reference.isascii():  # noqa: PLR2004 - a UUID in hex
        return None
    try:
        return UUID(hex=reference)
    except ValueError:
        return None
