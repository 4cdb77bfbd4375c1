"""From UnionPay's answer, or a signed form, to what the payer's device takes. Pure."""

from collections.abc import Mapping

from domain.checkout import Checkout, CheckoutKind
from domain.payment import Channel, Payment
from providers.kit.calls import unknown
from providers.unionpay.client import Answer
from providers.unionpay.config import PROVIDER


def form(payment: Payment, address: str, signed: Mapping[str, str]) -> Checkout:
    """Return the form that the payer's browser posts to `address`, its fields signed."""
    return Checkout(
        kind=CheckoutKind.FORM,
        value=address,
        parameters=dict(signed),
        expires_at=payment.expires_at,
    )


def submitted(payment: Payment, answer: Answer, mode: str) -> Checkout:
    """Return the checkout of an accepted order; raises OutcomeUnknown where the answer lacks it.

    `mode` is the environment that the app's SDK is told.
    """
    name = "qrCode" if payment.channel is Channel.QR else "tn"
    found = answer.fields.get(name)
    if not found:
        raise unknown(PROVIDER, f"the answer lacks {name}")
    if payment.channel is Channel.QR:
        return Checkout(kind=CheckoutKind.QR, value=found, expires_at=payment.expires_at)
    return Checkout(
        kind=CheckoutKind.SDK,
        parameters={"tn": found, "mode": mode},
        expires_at=payment.expires_at,
    )
