"""Merchant: whose orders these are, and where its events go."""

from enum import StrEnum

from domain.frozen import Frozen


class LatePolicy(StrEnum):
    """What to do with money that arrives for a payment we had closed."""

    REFUND = "refund"
    ACCEPT = "accept"


class Merchant(Frozen):
    """One merchant. `webhook_secret` is a Standard Webhooks secret (`whsec_…`)."""

    id: str
    name: str
    webhook_url: str | None = None
    webhook_secret: str | None = None
    late_policy: LatePolicy = LatePolicy.REFUND


def late_policy(merchant: Merchant | None, *, refundable: bool) -> LatePolicy:
    """What to do with money that comes late: what cannot be given back is accepted."""
    if not refundable:
        return LatePolicy.ACCEPT
    return merchant.late_policy if merchant else LatePolicy.REFUND
