"""What a refund's run believes, by order of what it hears. No server."""

from domain.payment import Failure
from domain.refund import RefundStatus
from domain.report import RefundOutcome
from tests.domain.making import refund, refund_report
from workflows.refund_state import RefundState


def test_a_definite_no_changes_nothing_once_the_provider_has_said_done() -> None:
    state = RefundState(refund())
    state.hear(refund_report(RefundOutcome.SUCCEEDED))

    state.fail(Failure(code="provider_rejected", message="no"))

    assert (state.refund.status, state.refund.failure) == (RefundStatus.SUCCEEDED, None)
