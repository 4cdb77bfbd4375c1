"""An operator's resolution, where the provider's reports do not settle a payment or refund."""

from enum import StrEnum

from pydantic import Field

from domain.frozen import Frozen


class ResolveAction(StrEnum):
    """The four decisions.

    `accept`: the money counts as moved. `refund`: give back what was paid. `close`: nothing moved,
    or it is settled elsewhere. `ask_again`: query the provider once more.
    """

    ACCEPT = "accept"
    REFUND = "refund"
    CLOSE = "close"
    ASK_AGAIN = "ask_again"


class Resolution(Frozen):
    """An operator's decision; `note` says who decided and why, and stays in the run's history."""

    action: ResolveAction
    note: str = Field(min_length=1, max_length=500)
