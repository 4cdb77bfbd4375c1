"""Consumption: what a store that decides on a refund may be sent, with the customer's consent."""

from enum import StrEnum

from pydantic import Field

from domain.frozen import Frozen


class Delivery(StrEnum):
    """Whether the customer got what was sold, and why not."""

    DELIVERED = "delivered"
    QUALITY_ISSUE = "quality_issue"
    WRONG_ITEM = "wrong_item"
    SERVER_OUTAGE = "server_outage"
    OTHER = "other"


class RefundPreference(StrEnum):
    """What we would like the store to do; it decides by itself."""

    DECLINE = "decline"
    GRANT_FULL = "grant_full"
    GRANT_PRORATED = "grant_prorated"


class Consumption(Frozen):
    """What became of one purchase. Sending it says that the customer agreed to that.

    `consumed` is in thousandths of a percent (100000 is all of it) and counts for nothing where
    nothing was delivered; `sample_provided` whether it could be tried before it was bought.
    """

    delivery: Delivery = Delivery.DELIVERED
    consumed: int | None = Field(default=None, ge=0, le=100_000)
    sample_provided: bool = False
    refund_preference: RefundPreference | None = None
