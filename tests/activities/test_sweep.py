from datetime import timedelta

import pytest

from activities.sweep import (
    OVERDUE_PAYMENT,
    OVERDUE_REFUND,
    Execution,
    is_overdue,
    judge,
)
from domain.payment import PaymentStatus
from domain.report import Attention
from tests.domain.making import LATER, NOW, payment, refund

FAILING = "failed 1 times, at first non_deterministic_error"


@pytest.mark.parametrize(
    "status", [None, "COMPLETED", "FAILED", "CANCELED", "TERMINATED", "TIMED_OUT"]
)
def test_what_does_not_run_is_started_again(status: str | None) -> None:
    judged = judge(Execution(status=status), overdue=False)
    assert judged is not None
    assert judged[1]


@pytest.mark.parametrize(
    ("stuck", "overdue", "repairable"),
    [
        (None, False, None),
        (FAILING, False, False),
        (FAILING, True, False),
        (None, True, False),
    ],
)
def test_what_runs_is_judged_by_its_tasks_and_its_time(
    *, stuck: str | None, overdue: bool, repairable: bool | None
) -> None:
    judged = judge(Execution(status="RUNNING", stuck=stuck), overdue=overdue)
    assert (judged[1] if judged else None) is repairable


def test_a_young_row_is_named_where_its_workflow_cannot_go_on_and_not_where_it_is_gone() -> None:
    stuck = Execution(status="RUNNING", stuck="failed 1 times")

    assert judge(stuck, overdue=False, young=True) == ("its workflow task failed 1 times", False)
    assert judge(Execution(status="COMPLETED"), overdue=False, young=True) is None


def test_a_payment_is_overdue_long_after_its_expiry_unless_an_operator_was_called() -> None:
    pending, soon, late = payment(expires_at=LATER), LATER, LATER + OVERDUE_PAYMENT * 1.01
    assert [is_overdue(pending, now) for now in (soon, late)] == [False, True]
    flagged = pending.model_copy(update={"attention": Attention.OUTCOME_UNKNOWN})
    assert not is_overdue(flagged, late)
    assert not is_overdue(pending.model_copy(update={"status": PaymentStatus.CLOSED}), late)


def test_a_refund_is_overdue_after_the_longest_time_that_a_bank_takes() -> None:
    pending = refund(created_at=NOW)
    assert not is_overdue(pending, NOW + OVERDUE_REFUND)
    assert is_overdue(pending, NOW + OVERDUE_REFUND + timedelta(seconds=1))
