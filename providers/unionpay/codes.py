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

# The bank or UnionPay declines this card or code; 71, 76 and 91 are the payer's password by SMS,
# the opening of the card by password and the authentication.
_DECLINES = """
    30 33 36 38 61 62 63 64 65 66 67 68 69 71 72 73 76 77 78 79 80 81 82 85 86 87 88 89 90 91
"""
# The request is wrong, or does not fit its original: 40 binding, 44 number not opened for it.
_BAD_REQUESTS = "10 13 14 35 40 44"
# About the merchant, whoever pays: signature (11), state (31), permission (32, 43), business
# licence (92 to 96).
_ACCOUNT = "11 31 32 43 92 93 94 95 96"
# 39 is outside the hours in which such transactions are taken.
_CALLS: dict[Verdict, str] = {
    Verdict.PAID: "A6",
    # An order's 00 is only accepted, and so is a refund's.
    Verdict.PENDING: "00 05 70 83",
    # 45 and 46: given back or reversed already. Whether by this call, a query of it says.
    Verdict.REJECTED: f"39 45 46 {_BAD_REQUESTS} {_DECLINES}",
    Verdict.BLOCKED: _ACCOUNT,
    Verdict.NOT_PROCESSED: "02 06 37",
    # 01 and 60 are failures by name, which the official App sample goes on querying. 42, 74 and
    # 75 say that the payer was debited. 41 and 98 are about files.
    Verdict.UNKNOWN: "01 03 04 12 34 41 42 60 74 75 98 99",
}
CALLS = {code: verdict for verdict, text in _CALLS.items() for code in text.split()}

# Of a refund or an undo these pass: the merchant's balance (64, 90) and limits (33, 81, 87), and
# the hours (39). An order that is refused for them is over.
_OF_REFUNDS = dict.fromkeys(("33", "64", "81", "87", "90"), Verdict.BLOCKED)
_OF_REFUNDS["39"] = Verdict.NOT_PROCESSED


class State(StrEnum):
    """What a code says of a transaction's state."""

    DONE = "done"
    PENDING = "pending"
    # Of a refund a no. Of a payment: not final while its payer may still try.
    FAILED = "failed"
    # Of a payment, ask on until its time is over; of a refund a no.
    UNSETTLED = "unsettled"
    # Of a payment: the payer was debited, and whether the money is ours is unknown. Of a refund
    # pending.
    DEBITED = "debited"
    # Of a payment: it was given back or reversed. Of a refund a no.
    GIVEN_BACK = "given_back"


_STATES: dict[State, str] = {
    State.DONE: "00 A6",
    # 41 is about files.
    State.PENDING: "02 03 04 05 06 12 34 37 41 70 83 98 99",
    State.FAILED: f"39 {_BAD_REQUESTS} {_DECLINES} {_ACCOUNT}",
    State.UNSETTLED: "01 60",
    # Debited, and after payTimeout (42), or with the posting unknown (74) or failed (75).
    State.DEBITED: "42 74 75",
    State.GIVEN_BACK: "45 46",
}
STATES = {code: state for state, text in _STATES.items() for code in text.split()}

# Seconds until the same call may come again: too frequent, closed, too busy, outside the hours.
RETRY_AFTER = {"37": 60.0, "02": 60.0, "06": 10.0, "39": 600.0}


def verdict_of(code: str) -> Verdict:
    """What the `respCode` of an order says."""
    return CALLS.get(code, Verdict.UNKNOWN)


def refund_verdict(code: str) -> Verdict:
    """What the `respCode` of a refund or undo says."""
    return _OF_REFUNDS.get(code) or verdict_of(code)


def question_verdict(code: str) -> Verdict:
    """What the `respCode` of a refused question says: never anything of the money."""
    return Verdict.NOT_PROCESSED if code in RETRY_AFTER else Verdict.UNKNOWN


def state_of(code: str) -> State:
    """What an `origRespCode` says."""
    return STATES.get(code, State.PENDING)
