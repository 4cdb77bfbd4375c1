"""What an audit finds: a difference, named by the promise that it breaks."""

from dataclasses import dataclass
from enum import StrEnum


class Promise(StrEnum):
    """What was found; each belongs to one promise of docs/reliability.md."""

    DOUBLE_ORDER = "double order"
    DOUBLE_CAPTURE = "double capture"
    OVER_REFUND = "over-refund"
    RESERVED_WITHOUT_REFUND = "reserved money without an open refund"
    LOST_PAYMENT = "lost payment"
    CLOSED_BUT_PAID = "closed at us but paid there"
    CLOSED_BUT_PAYABLE = "closed at us but payable there"
    KEPT_MONEY = "money kept that was to go back"
    LOST_REFUND = "refund there, not here"
    OPERATOR_NEEDED = "waits for an operator"
    PAID_WITHOUT_EVENT = "paid without event"
    END_WITHOUT_EVENT = "end without event"
    EVENT_WITHOUT_PAYMENT = "event without payment"
    EVENT_OUT_OF_ORDER = "event out of order"
    EVENT_NOT_DELIVERED = "event not delivered"
    EVENT_CONTRADICTS = "event contradicts the database"
    SUCCESS_WITHOUT_MONEY = "success without money"
    REFUND_WITHOUT_MONEY = "refund here, not there"
    AMOUNT_DIFFERS = "another amount there"
    RUN_WITHOUT_WORK = "workflow open with nothing to wait for"
    STUCK_RUN = "workflow that cannot go on"
    ROW_WITHOUT_RUN = "pending row without an open workflow"
    FORGERY_BELIEVED = "forgery acknowledged"
    SECRET_IN_CLEAR = "secret in clear"  # noqa: S105 - a finding's name

    @property
    def number(self) -> str:
        """The promise that it breaks, P1 to P8."""
        return _NUMBERS[self]


_P1 = (Promise.DOUBLE_ORDER, Promise.DOUBLE_CAPTURE)
_P2 = (Promise.OVER_REFUND, Promise.RESERVED_WITHOUT_REFUND)
_P4 = (
    Promise.PAID_WITHOUT_EVENT,
    Promise.END_WITHOUT_EVENT,
    Promise.EVENT_WITHOUT_PAYMENT,
    Promise.EVENT_OUT_OF_ORDER,
    Promise.EVENT_NOT_DELIVERED,
    Promise.EVENT_CONTRADICTS,
)
_P5 = (Promise.SUCCESS_WITHOUT_MONEY, Promise.REFUND_WITHOUT_MONEY, Promise.AMOUNT_DIFFERS)
_P6 = (Promise.RUN_WITHOUT_WORK, Promise.STUCK_RUN, Promise.ROW_WITHOUT_RUN)
_NUMBERS = (
    dict.fromkeys(Promise, "P3")
    | dict.fromkeys(_P1, "P1")
    | dict.fromkeys(_P2, "P2")
    | dict.fromkeys(_P4, "P4")
    | dict.fromkeys(_P5, "P5")
    | dict.fromkeys(_P6, "P6")
    | {Promise.FORGERY_BELIEVED: "P7", Promise.SECRET_IN_CLEAR: "P8"}
)


class Severity(StrEnum):
    """`error` makes an audit unclean; a `note` is for an operator's list."""

    ERROR = "error"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """One difference. `payment` is our id as the providers know it (hex), or empty."""

    promise: Promise
    payment: str
    what: str
    advice: str
    severity: Severity = Severity.ERROR
