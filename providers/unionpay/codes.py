"""What UnionPay's codes say of the money (docs: 应答码); pure tables.

The same code means one thing of a call (`respCode` of an order, refund or undo) and another of the
state of a transaction (`origRespCode` of a query, `respCode` of a notification). A code that is
not in the tables is unknown, or pending: never a failure.
"""

from enum import StrEnum

from providers.base import Verdict

OK = "00"
OK_WITH_DEFECT = "A6"
SUCCESSES = frozenset({OK, OK_WITH_DEFECT})
# Your triple was sent before: ask about it, never make a new order.
DUPLICATE = "12"
NOT_FOUND = "34"

_DECLINES = """
    30 31 32 33 35 36 38 39 61 62 63 64 65 66 67 68 69 72 73 77 78 79 80 81 82
    85 86 87 88 89 90
"""
_CALLS: dict[Verdict, str] = {
    Verdict.PAID: "A6",
    # An order's 00 is only accepted, and so is a refund's.
    Verdict.PENDING: "00 05 70 83",
    Verdict.REJECTED: f"10 11 13 14 42 45 46 {_DECLINES}",
    Verdict.NOT_PROCESSED: "02 06 37",
    # 01 and 60 are failures by name, which the official App sample keeps asking about.
    Verdict.UNKNOWN: "01 03 04 12 34 60 74 75 98 99",
}
CALLS = {code: verdict for verdict, text in _CALLS.items() for code in text.split()}


class State(StrEnum):
    """What a code says of a transaction's state."""

    DONE = "done"
    PENDING = "pending"
    # Of a refund a no. Of a payment: not final while its payer may still try.
    FAILED = "failed"
    # Of a payment, ask on until its time is over; of a refund a no.
    UNSETTLED = "unsettled"


_STATES: dict[State, str] = {
    State.DONE: "00 A6",
    # 74 and 75: debited, posting unknown or failed. Only a person can say what that will be.
    State.PENDING: "02 03 04 05 06 12 34 37 70 74 75 83 98 99",
    State.FAILED: f"10 11 13 14 42 45 46 {_DECLINES}",
    State.UNSETTLED: "01 60",
}
STATES = {code: state for state, text in _STATES.items() for code in text.split()}

# Seconds until the same question may be asked again: too frequent, too busy, closed.
RETRY_AFTER = {"37": 60.0, "02": 60.0, "06": 10.0}


def verdict_of(code: str) -> Verdict:
    """What the `respCode` of an order, refund or undo says."""
    return CALLS.get(code, Verdict.UNKNOWN)


def question_verdict(code: str) -> Verdict:
    """What the `respCode` of a refused question says: never anything of the money."""
    return Verdict.NOT_PROCESSED if code in RETRY_AFTER else Verdict.UNKNOWN


def state_of(code: str) -> State:
    """What an `origRespCode` says."""
    return STATES.get(code, State.PENDING)
