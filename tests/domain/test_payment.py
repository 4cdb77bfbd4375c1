from itertools import product
from typing import Any

import pytest
from pydantic import ValidationError

from domain.payment import (
    LATE_TRANSITIONS,
    TRANSITIONS,
    Payer,
    Payment,
    PaymentStatus,
)
from domain.report import Attention, Outcome, PaymentReport
from domain.resolution import ResolveAction
from tests.domain.making import LATER, PAYMENT_ID, payment, report

REPORTED = {
    PaymentStatus.SUCCEEDED: Outcome.PAID,
    PaymentStatus.FAILED: Outcome.FAILED,
    PaymentStatus.CLOSED: Outcome.CLOSED,
}


def in_status(status: PaymentStatus) -> Payment:
    captured = 1999 if status is PaymentStatus.SUCCEEDED else 0
    return payment(status=status, captured=captured)


def test_every_status_has_its_transitions() -> None:
    assert set(TRANSITIONS) == set(PaymentStatus)
    final = {status for status, following in TRANSITIONS.items() if not following}
    assert final == set(PaymentStatus) - {PaymentStatus.PENDING}


@pytest.mark.parametrize(("before", "after"), list(product(PaymentStatus, REPORTED)))
def test_a_report_moves_a_payment_only_along_the_transitions(
    before: PaymentStatus, after: PaymentStatus
) -> None:
    start = in_status(before)

    moved = start.apply(report(REPORTED[after]))

    if after in TRANSITIONS[before]:
        assert moved.status is after
        assert moved.raw_status == f"RAW_{REPORTED[after].upper()}"
    else:
        assert moved.status is before


@pytest.mark.parametrize("before", PaymentStatus)
@pytest.mark.parametrize("outcome", [Outcome.PENDING, Outcome.NOT_FOUND])
def test_a_report_of_nothing_new_changes_nothing(before: PaymentStatus, outcome: Outcome) -> None:
    start = in_status(before)

    assert start.apply(report(outcome)) is start


@pytest.mark.parametrize("outcome", Outcome)
def test_a_success_is_never_downgraded(outcome: Outcome) -> None:
    paid = payment().apply(report())

    assert paid.apply(report(outcome)) is paid


def test_money_counts_once() -> None:
    paid = payment().apply(report())

    assert (paid.status, paid.captured, paid.late) == (PaymentStatus.SUCCEEDED, 1999, False)
    assert (paid.provider_reference, paid.paid_at) == ("2026050122001", LATER)
    assert paid.apply(report(amount=5)) is paid


@pytest.mark.parametrize("before", [PaymentStatus.FAILED, PaymentStatus.CLOSED])
def test_late_money_keeps_the_status_and_is_counted(before: PaymentStatus) -> None:
    late = payment(status=before).apply(report())

    assert (late.status, late.late, late.captured) == (before, True, 1999)
    assert late.apply(report()) is late


@pytest.mark.parametrize(("before", "late"), list(product(PaymentStatus, [True, False])))
def test_only_late_money_is_accepted_late(before: PaymentStatus, late: bool) -> None:  # noqa: FBT001
    start = payment(status=before, late=late, captured=1999)
    allowed = late and PaymentStatus.SUCCEEDED in LATE_TRANSITIONS.get(before, ())

    accepted = start.accept_late()

    if allowed:
        assert (accepted.status, accepted.failure) == (PaymentStatus.SUCCEEDED, None)
    else:
        assert accepted is start


@pytest.mark.parametrize(
    ("said", "failure"),
    [
        (report(Outcome.FAILED), ("RAW_FAILED", None, "The provider reports RAW_FAILED.")),
        (report(Outcome.FAILED, code="E1", message="no"), ("E1", "no", "no")),
    ],
)
def test_a_failure_carries_the_providers_words(
    said: PaymentReport, failure: tuple[str, str | None, str]
) -> None:
    failed = payment().apply(said).failure

    assert failed is not None
    found = failed.provider_code, failed.provider_message, failed.message
    assert (failed.code, found) == ("provider_rejected", failure)


def test_a_report_without_the_providers_number_does_not_forget_it() -> None:
    known = payment(provider_reference="P1")

    assert known.apply(report(provider_reference=None)).provider_reference == "P1"
    assert known.apply(report(Outcome.CLOSED)).provider_reference == "P1"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, None),
        ({"currency": None}, None),
        ({"reference": "0" * 32}, Attention.REFERENCE_MISMATCH),
        ({"mismatch": Attention.ACCOUNT_MISMATCH}, Attention.ACCOUNT_MISMATCH),
        ({"amount": 1998}, Attention.AMOUNT_MISMATCH),
        ({"amount": 2000}, Attention.AMOUNT_MISMATCH),
        ({"amount": None}, Attention.AMOUNT_MISMATCH),
        ({"amount": 0}, Attention.AMOUNT_MISMATCH),
        ({"currency": "USD"}, Attention.CURRENCY_MISMATCH),
    ],
)
def test_a_report_of_money_must_fit_the_payment(
    changes: dict[str, Any], why: Attention | None
) -> None:
    assert payment().mismatch(report(**changes)) is why


@pytest.mark.parametrize("outcome", sorted(set(Outcome) - {Outcome.PAID}))
def test_a_report_without_money_is_held_against_its_identity_only(outcome: Outcome) -> None:
    assert payment().mismatch(report(outcome, amount=1, currency="USD")) is None
    foreign = report(outcome, mismatch=Attention.ACCOUNT_MISMATCH)
    assert payment().mismatch(foreign) is Attention.ACCOUNT_MISMATCH


@pytest.mark.parametrize(
    ("action", "status", "captured", "late"),
    [
        (ResolveAction.ACCEPT, PaymentStatus.SUCCEEDED, 5, False),
        (ResolveAction.REFUND, PaymentStatus.CLOSED, 5, True),
        (ResolveAction.CLOSE, PaymentStatus.CLOSED, 0, False),
        (ResolveAction.ASK_AGAIN, PaymentStatus.PENDING, 0, False),
    ],
)
def test_a_person_decides_on_a_disputed_report(
    action: ResolveAction,
    status: PaymentStatus,
    captured: int,
    late: bool,  # noqa: FBT001
) -> None:
    parked = payment(attention=Attention.AMOUNT_MISMATCH)

    decided = parked.resolve(action, report(amount=5))

    assert (decided.status, decided.captured, decided.late) == (status, captured, late)
    assert decided.attention is None


@pytest.mark.parametrize("action", [ResolveAction.ACCEPT, ResolveAction.REFUND])
def test_a_decision_on_money_that_is_no_longer_disputed_moves_none(action: ResolveAction) -> None:
    decided = payment(attention=Attention.AMOUNT_MISMATCH).resolve(action, None)

    assert (decided.status, decided.captured) == (PaymentStatus.PENDING, 0)


@pytest.mark.parametrize("action", ResolveAction)
@pytest.mark.parametrize("status", sorted(set(PaymentStatus) - {PaymentStatus.PENDING}))
def test_a_decision_comes_too_late_for_an_ended_payment(
    action: ResolveAction, status: PaymentStatus
) -> None:
    ended = in_status(status)

    assert ended.resolve(action, report(amount=5)) == ended


def test_a_report_of_money_without_a_sum_captures_nothing() -> None:
    assert payment().apply(report(amount=None)).captured == 0


def test_what_is_refundable_is_what_is_neither_held_nor_gone() -> None:
    assert payment(captured=100, refund_reserved=30, refunded=20).refundable == 50


def test_the_reference_is_the_id_in_hex() -> None:
    assert payment().reference == PAYMENT_ID.hex


def test_a_payment_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValidationError):
        payment().status = PaymentStatus.SUCCEEDED  # type: ignore[misc]


@pytest.mark.parametrize("amount", [0, -1, 10_000_000_001, 19.99, "1999", True])
def test_an_amount_is_whole_positive_minor_units(amount: object) -> None:
    with pytest.raises(ValidationError):
        Payment.model_validate(payment().model_dump() | {"amount": amount})


@pytest.mark.parametrize("code", ["1" * 15, "1" * 25, "12345678901234567x", ""])
def test_a_code_at_the_till_has_its_digits(code: str) -> None:
    with pytest.raises(ValidationError):
        Payer(auth_code=code)
