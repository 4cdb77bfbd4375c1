"""UnionPay's table of response codes (应答码), gone through whole.

Its reading here is independent of ours: `providers/unionpay/codes.py` is compared with it. The
list is the one of 2019 with the codes up to 96, as two public repositories copy it; 97 and what
is missing between the numbers is not documented.
"""

import pytest

from providers.base import Verdict
from providers.unionpay import codes
from providers.unionpay.codes import State

REJECTED, BLOCKED, UNKNOWN = Verdict.REJECTED, Verdict.BLOCKED, Verdict.UNKNOWN
NOT_PROCESSED, PENDING = Verdict.NOT_PROCESSED, Verdict.PENDING

# Code: what an order says by it, what a refund or undo says by it, the state of a payment.
DOCUMENTED: dict[str, tuple[Verdict, Verdict, State]] = {
    "00": (PENDING, PENDING, State.DONE),  # success; of a call, accepted
    "A6": (Verdict.PAID, Verdict.PAID, State.DONE),  # success with a defect
    "01": (UNKNOWN, UNKNOWN, State.UNSETTLED),  # failed, ask 95516
    "02": (NOT_PROCESSED, NOT_PROCESSED, State.PENDING),  # closed for now
    "03": (UNKNOWN, UNKNOWN, State.PENDING),  # timeout: query
    "04": (UNKNOWN, UNKNOWN, State.PENDING),  # state not clear
    "05": (PENDING, PENDING, State.PENDING),  # accepted, query later
    "06": (NOT_PROCESSED, NOT_PROCESSED, State.PENDING),  # busy
    "10": (REJECTED, REJECTED, State.FAILED),  # format
    "11": (BLOCKED, BLOCKED, State.FAILED),  # signature
    "12": (UNKNOWN, UNKNOWN, State.PENDING),  # repeated transaction
    "13": (REJECTED, REJECTED, State.FAILED),  # field missing
    "14": (REJECTED, REJECTED, State.FAILED),  # batch file format
    "30": (REJECTED, REJECTED, State.FAILED),  # not passed, another card
    "31": (BLOCKED, BLOCKED, State.FAILED),  # merchant's state
    "32": (BLOCKED, BLOCKED, State.FAILED),  # no permission for it
    "33": (REJECTED, BLOCKED, State.FAILED),  # amount above the limit
    "34": (UNKNOWN, UNKNOWN, State.PENDING),  # no such transaction (yet)
    "35": (REJECTED, REJECTED, State.FAILED),  # original missing or in another state
    "36": (REJECTED, REJECTED, State.FAILED),  # does not fit the original
    "37": (NOT_PROCESSED, NOT_PROCESSED, State.PENDING),  # too many queries
    "38": (REJECTED, REJECTED, State.FAILED),  # risk
    "39": (REJECTED, NOT_PROCESSED, State.FAILED),  # outside the hours
    "40": (REJECTED, REJECTED, State.FAILED),  # binding
    "41": (UNKNOWN, UNKNOWN, State.PENDING),  # batch not ready for download
    "42": (UNKNOWN, UNKNOWN, State.DEBITED),  # debited after the allowed time
    "43": (BLOCKED, BLOCKED, State.FAILED),  # no permission for this business
    "44": (REJECTED, REJECTED, State.FAILED),  # number wrong or not opened
    "45": (REJECTED, REJECTED, State.GIVEN_BACK),  # original refunded or undone already
    "46": (REJECTED, REJECTED, State.GIVEN_BACK),  # reversed already
    "60": (UNKNOWN, UNKNOWN, State.UNSETTLED),  # failed, ask the bank
    "61": (REJECTED, REJECTED, State.FAILED),  # card number
    "62": (REJECTED, REJECTED, State.FAILED),  # bank does not take the merchant
    "63": (REJECTED, REJECTED, State.FAILED),  # card's state
    "64": (REJECTED, BLOCKED, State.FAILED),  # balance too low
    "65": (REJECTED, REJECTED, State.FAILED),  # PIN, expiry or CVN2
    "66": (REJECTED, REJECTED, State.FAILED),  # identity or phone number
    "67": (REJECTED, REJECTED, State.FAILED),  # PIN tries
    "68": (REJECTED, REJECTED, State.FAILED),  # card not for this business
    "69": (REJECTED, REJECTED, State.FAILED),  # payer too slow
    "70": (PENDING, PENDING, State.PENDING),  # waiting for the payer
    "71": (REJECTED, REJECTED, State.FAILED),  # password by SMS wrong
    "72": (REJECTED, REJECTED, State.FAILED),  # not signed at the bank
    "73": (REJECTED, REJECTED, State.FAILED),  # card expired
    "74": (UNKNOWN, UNKNOWN, State.DEBITED),  # debited, posting unknown
    "75": (UNKNOWN, UNKNOWN, State.DEBITED),  # debited, posting failed
    "76": (REJECTED, REJECTED, State.FAILED),  # must be opened by password
    "77": (REJECTED, REJECTED, State.FAILED),  # card not opened
    "78": (REJECTED, REJECTED, State.FAILED),  # bank's permission
    "79": (REJECTED, REJECTED, State.FAILED),  # bank sends no SMS
    "80": (REJECTED, REJECTED, State.FAILED),  # token expired
    "81": (REJECTED, BLOCKED, State.FAILED),  # monthly limit
    "82": (REJECTED, REJECTED, State.FAILED),  # password needed
    "83": (PENDING, PENDING, State.PENDING),  # the bank is processing
    "85": (REJECTED, REJECTED, State.FAILED),  # marketing rule
    "86": (REJECTED, REJECTED, State.FAILED),  # state of the QR code
    "87": (REJECTED, BLOCKED, State.FAILED),  # number of payments
    "88": (REJECTED, REJECTED, State.FAILED),  # no such QR code
    "89": (REJECTED, REJECTED, State.FAILED),  # no such token
    "90": (REJECTED, BLOCKED, State.FAILED),  # account balance
    "91": (REJECTED, REJECTED, State.FAILED),  # authentication
    "92": (BLOCKED, BLOCKED, State.FAILED),  # business licence expired
    "93": (BLOCKED, BLOCKED, State.FAILED),  # revoked
    "94": (BLOCKED, BLOCKED, State.FAILED),  # cancelled
    "95": (BLOCKED, BLOCKED, State.FAILED),  # moved away
    "96": (BLOCKED, BLOCKED, State.FAILED),  # withdrawn
    "98": (UNKNOWN, UNKNOWN, State.PENDING),  # no such file
    "99": (UNKNOWN, UNKNOWN, State.PENDING),  # general error
}
# "Unknown" of a call on purpose: the samples keep asking, the payer was debited, a file.
UNKNOWN_ON_PURPOSE = {
    *("01", "03", "04", "12", "34", "60", "99"),
    *("42", "74", "75"),
    *("41", "98"),
}


def test_every_documented_code_has_a_verdict_and_a_state() -> None:
    assert len(DOCUMENTED) == 68
    assert set(codes.CALLS) == set(codes.STATES) == set(DOCUMENTED)
    unknown = {code for code in DOCUMENTED if codes.verdict_of(code) is UNKNOWN}
    assert unknown == UNKNOWN_ON_PURPOSE
    assert len(DOCUMENTED) - len(unknown) == 56


@pytest.mark.parametrize("code", DOCUMENTED)
def test_a_documented_code_means_what_its_text_says(code: str) -> None:
    order, refund, state = DOCUMENTED[code]
    assert codes.verdict_of(code) is order
    assert codes.refund_verdict(code) is refund
    assert codes.state_of(code) is state


@pytest.mark.parametrize("code", ["", "07", "ZZ", "000", "a6", "97"])
def test_an_undocumented_code_is_never_a_failure(code: str) -> None:
    assert codes.verdict_of(code) is UNKNOWN
    assert codes.refund_verdict(code) is UNKNOWN
    assert codes.question_verdict(code) is UNKNOWN
    assert codes.state_of(code) is State.PENDING


def test_only_two_codes_are_money() -> None:
    done = [code for code, state in codes.STATES.items() if state is State.DONE]
    assert sorted(done) == ["00", "A6"]


@pytest.mark.parametrize("code", DOCUMENTED)
def test_a_rejected_question_is_never_a_no(code: str) -> None:
    assert not codes.question_verdict(code).is_refusal
