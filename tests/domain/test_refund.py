from itertools import product
from typing import Any

import pytest

from domain.refund import REFUND_TRANSITIONS, RefundStatus
from domain.report import Attention, RefundOutcome, RefundReport
from tests.domain.making import LATER, PAYMENT_ID, REFUND_ID, refund, refund_report

REPORTED = {
    RefundStatus.SUCCEEDED: RefundOutcome.SUCCEEDED,
    RefundStatus.FAILED: RefundOutcome.FAILED,
}


def test_every_status_has_its_transitions() -> None:
    assert set(REFUND_TRANSITIONS) == set(RefundStatus)


@pytest.mark.parametrize(("before", "after"), list(product(RefundStatus, REPORTED)))
def test_a_report_moves_a_refund_only_along_the_transitions(
    before: RefundStatus, after: RefundStatus
) -> None:
    start = refund(status=before)

    moved = start.apply(refund_report(REPORTED[after]))

    if after in REFUND_TRANSITIONS[before]:
        assert moved.status is after
    else:
        assert moved is start


@pytest.mark.parametrize("before", RefundStatus)
@pytest.mark.parametrize("outcome", [RefundOutcome.PENDING, RefundOutcome.NOT_FOUND])
def test_a_report_of_nothing_new_changes_nothing(
    before: RefundStatus, outcome: RefundOutcome
) -> None:
    start = refund(status=before)

    assert start.apply(refund_report(outcome)) is start


@pytest.mark.parametrize("before", RefundStatus)
def test_an_abnormal_refund_calls_a_person_while_it_is_pending(before: RefundStatus) -> None:
    start = refund(status=before)

    moved = start.apply(refund_report(RefundOutcome.ABNORMAL))

    if before is RefundStatus.PENDING:
        assert (moved.status, moved.attention) == (before, Attention.REFUND_ABNORMAL)
        assert moved.raw_status == "RAW_ABNORMAL"
    else:
        assert moved is start


def test_an_end_clears_the_call_for_a_person() -> None:
    abnormal = refund().apply(refund_report(RefundOutcome.ABNORMAL))

    done = abnormal.apply(refund_report(provider_reference="R1"))

    assert (done.attention, done.refunded_at) == (None, LATER)
    assert (done.provider_reference, done.failure) == ("R1", None)


@pytest.mark.parametrize(
    ("said", "failure"),
    [
        (refund_report(RefundOutcome.FAILED), ("RAW_FAILED", None)),
        (refund_report(RefundOutcome.FAILED, code="E1", message="no"), ("E1", "no")),
    ],
)
def test_a_failure_carries_the_providers_words(
    said: RefundReport, failure: tuple[str, str | None]
) -> None:
    failed = refund().apply(said).failure

    assert failed is not None
    assert (failed.provider_code, failed.provider_message) == failure


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, None),
        ({"refund_reference": "0" * 32}, Attention.REFERENCE_MISMATCH),
        ({"reference": "0" * 32}, Attention.REFERENCE_MISMATCH),
        ({"mismatch": Attention.ACCOUNT_MISMATCH}, Attention.ACCOUNT_MISMATCH),
        ({"amount": 499}, Attention.AMOUNT_MISMATCH),
        ({"amount": None}, Attention.AMOUNT_MISMATCH),
        ({"amount": 1, "outcome": RefundOutcome.PENDING}, None),
        ({"amount": 1, "outcome": RefundOutcome.FAILED}, None),
    ],
)
def test_a_report_must_fit_the_refund(changes: dict[str, Any], why: Attention | None) -> None:
    assert refund().mismatch(refund_report(**changes)) is why


def test_the_references_are_the_ids_in_hex() -> None:
    made = refund()

    assert (made.reference, made.payment_reference) == (REFUND_ID.hex, PAYMENT_ID.hex)
