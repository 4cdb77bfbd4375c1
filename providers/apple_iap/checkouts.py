"""What the app buys with. Pure."""

from domain.checkout import Checkout, CheckoutKind
from domain.payment import Payment


def checkout(payment: Payment) -> Checkout:
    """What the app hands to the store: the product, and our id as the account token."""
    return Checkout(
        kind=CheckoutKind.SDK,
        parameters={
            "productId": payment.product_id or "",
            "appAccountToken": str(payment.id),
            "quantity": str(payment.quantity),
        },
        expires_at=payment.expires_at,
    )
