"""What a refund's run believes, by order of what it hears. No server."""

from domain.payment import Failure
from domain.refund import RefundStatus
from domain.report import Attention, RefundOutcome
from domain.resolution import Resolution, ResolveAction
from tests.domain.making import refund, refund_report
from workflows.refund_state import RefundState


def test_a_definite_no_changes_nothing_once_the_provider_has_said_done() -> None:
    state = RefundState(refund())
    state.hear(refund_report(RefundOutcome.SUCCEEDED))

    state.fail(Failure(code="provider_rejected", message="no"))

    assert (state.refund.status, state.refund.failure) == (RefundStatus.SUCCEEDED, None)


BLOCKED = Failure(code="provider_blocked", message="top up", provider_code="NOT_ENOUGH")


def test_a_refund_that_our_account_stands_in_the_way_of_is_still_owed() -> None:
    state = RefundState(refund())

    state.block(BLOCKED)

    assert (state.refund.status, state.doubt) == (RefundStatus.PENDING, Attention.REFUND_BLOCKED)
    assert state.detail(Attention.REFUND_BLOCKED) == "refund_blocked: top up"
    assert state.detail(Attention.OUTCOME_UNKNOWN) == "outcome_unknown"


def test_a_refund_that_is_taken_at_last_is_no_operators_to_end() -> None:
    state = RefundState(refund())
    state.block(BLOCKED)
    state.flag(Attention.REFUND_BLOCKED)
    close = Resolution(action=ResolveAction.CLOSE, note="paid in cash")
    assert state.refuses_resolution(close) is None

    state.take(refund_report(RefundOutcome.PENDING))

    assert state.refuses_resolution(close) is not None
    assert state.refund.attention is None


def test_an_end_is_not_blocked_afterwards() -> None:
    state = RefundState(refund())
    state.hear(refund_report(RefundOutcome.SUCCEEDED))

    state.block(BLOCKED)

    assert (state.refund.status, state.doubt) == (RefundStatus.SUCCEEDED, None)


def test_a_blocked_refund_goes_on_without_an_operator_where_its_workflow_was_lost() -> None:
    state = RefundState(refund().model_copy(update={"attention": Attention.REFUND_BLOCKED}))

    state.resume()

    assert state.doubt is None
    assert state.detail(Attention.REFUND_BLOCKED) == "refund_blocked"
