"""Checkout: what the payer needs next."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from domain.frozen import Frozen
from domain.report import PaymentReport
from domain.text import Kept, Words


class CheckoutKind(StrEnum):
    """How the merchant's front end uses the checkout."""

    ORDER_STRING = "order_string"
    REDIRECT = "redirect"
    QR = "qr"
    SDK = "sdk"
    FORM = "form"
    NONE = "none"


class Checkout(Frozen):
    """What the merchant hands to the payer's device.

    `value` is the order string, redirect URL or QR text; `parameters` are the SDK's, exactly as
    its call takes them. A `form` has both: the payer's browser posts the `parameters`, unchanged,
    to the address in `value`. A barcode payment needs nothing more from the payer's device: `none`.
    """

    kind: CheckoutKind
    value: Kept | None = Field(default=None, examples=["https://qr.alipay.com/bax03431"])
    parameters: dict[str, Kept] | None = None
    expires_at: datetime | None = None


class Created(Frozen):
    """A provider's answer to `create`: the checkout, and a report where it already says one."""

    checkout: Checkout
    report: PaymentReport | None = None
    provider_reference: Words | None = None
