"""What a workflow does next, as data: `next_step` of a state returns one, the workflow executes it.

A step carries what its execution needs and nothing that the state can change meanwhile. Times are
the workflow's.
"""

from dataclasses import dataclass
from datetime import datetime

from activities.fast_path import Placed
from domain.report import Attention, PaymentReport, RefundReport
from domain.resolution import Resolution


@dataclass(frozen=True)
class Record:
    """Store the order, or set the refund's money aside, before anything is sent."""


@dataclass(frozen=True)
class SubmitOrder:
    """Finish the submission that went with recording the order."""

    placed: Placed


@dataclass(frozen=True)
class Submit:
    """Send the refund to the provider, inside the workflow task."""


@dataclass(frozen=True)
class SubmitAgain:
    """Query, then send again where the provider knows of nothing: the outcome is unknown."""


@dataclass(frozen=True)
class Resolve:
    """Apply the operator's resolution."""

    resolution: Resolution


@dataclass(frozen=True)
class ReviewDispute:
    """Flag a report that does not fit, query once, then wait for an operator."""

    report: PaymentReport


@dataclass(frozen=True)
class ReviewHeld:
    """Take over what a lost execution had called an operator for: query once, then wait."""

    why: Attention


@dataclass(frozen=True)
class ReviewDoubt:
    """Flag the refund; wait for an operator where it cannot go on by itself."""

    why: Attention
    goes_on: bool


@dataclass(frozen=True)
class Confirm:
    """Query whether a notification holds that is no proof by itself."""


@dataclass(frozen=True)
class Close:
    """End the order at the provider, which may say that it was paid."""


@dataclass(frozen=True)
class Wait:
    """Wait for a report until then; polling begins afterwards."""

    until: datetime


@dataclass(frozen=True)
class Poll:
    """Query by the poll schedule until a report is final, at most until then (None: no limit)."""

    until: datetime | None


@dataclass(frozen=True)
class Finalise:
    """Write the final status and its event."""


@dataclass(frozen=True)
class WatchExpiry:
    """Query once more after the expiry: the provider had never seen the order that was closed."""


@dataclass(frozen=True)
class ConfirmLate:
    """Query, several times if need be, about money claimed after the end."""


@dataclass(frozen=True)
class DropLateMoney:
    """Forget late money that our own cancel has given back."""


@dataclass(frozen=True)
class SettleLateMoney:
    """Count money that came after the end, then accept or refund it."""


@dataclass(frozen=True)
class CompareRefunds:
    """Flag what the provider has refunded in all (minor units) where it is more than ours."""

    refunded: int


@dataclass(frozen=True)
class FlagLate:
    """Flag a report after the end that does not fit the payment."""

    report: PaymentReport


@dataclass(frozen=True)
class SettleClaim:
    """Query about a notification that contradicts the refund's end."""

    claim: RefundReport


@dataclass(frozen=True)
class FlagContradiction:
    """Flag a refund and its payment: a report after the end says otherwise."""

    why: Attention


@dataclass(frozen=True)
class Deliver:
    """Nothing is left to do but to deliver events; ends the workflow unless a report comes."""


# After a payment's end.
LateStep = (
    WatchExpiry
    | ConfirmLate
    | DropLateMoney
    | SettleLateMoney
    | CompareRefunds
    | FlagLate
    | Deliver
)
PaymentStep = (
    Record
    | SubmitOrder
    | Resolve
    | ReviewDispute
    | Confirm
    | ReviewHeld
    | Close
    | Wait
    | Poll
    | Finalise
    | LateStep
)
# After a refund's end.
LateRefundStep = SettleClaim | FlagContradiction | Deliver
RefundStep = (
    Record
    | Submit
    | Resolve
    | ReviewDoubt
    | Confirm
    | SubmitAgain
    | Wait
    | Poll
    | Finalise
    | LateRefundStep
)
