"""Every order of reports and decisions: money moves once, and a final state stays final."""

from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from domain.payment import LATE_TRANSITIONS, TRANSITIONS, Payment, PaymentStatus
from domain.refund import REFUND_TRANSITIONS, Refund, RefundStatus
from domain.report import Attention, Outcome, PaymentReport, RefundOutcome, RefundReport
from domain.resolution import ResolveAction
from tests.domain.making import payment, refund, refund_report, report

amounts = st.sampled_from([None, 0, 1, 1998, 1999, 2000])
payment_reports = st.builds(
    lambda outcome, amount, currency, number, mismatch: report(
        outcome, amount=amount, currency=currency, provider_reference=number, mismatch=mismatch
    ),
    st.sampled_from(Outcome),
    amounts,
    st.sampled_from([None, "CNY", "USD"]),
    st.sampled_from([None, "P1", "P2"]),
    st.sampled_from([None, None, None, Attention.ACCOUNT_MISMATCH]),
)
refund_reports = st.builds(
    lambda outcome, amount: refund_report(outcome, amount=amount),
    st.sampled_from(RefundOutcome),
    st.sampled_from([None, 0, 499, 500, 501]),
)
decisions = st.sampled_from(ResolveAction)


def hear(state: Payment, said: PaymentReport) -> Payment:
    """What every caller does: ask for a mismatch, then apply."""
    return state if state.mismatch(said) else state.apply(said)


def hear_refund(state: Refund, said: RefundReport) -> Refund:
    return state if state.mismatch(said) else state.apply(said)


@given(st.lists(payment_reports, max_size=12))
def test_whatever_is_reported_only_lawful_steps_are_taken(said: list[PaymentReport]) -> None:
    state = payment()
    for word in said:
        after = hear(state, word)
        assert after.status is state.status or after.status in TRANSITIONS[state.status]
        assert state.captured in (0, after.captured)
        assert after.captured in (0, 1999)
        assert (after.captured > 0) == (after.status is PaymentStatus.SUCCEEDED or after.late)
        assert hear(after, word) is after
        state = after


@given(st.lists(payment_reports, max_size=12))
def test_money_that_fits_is_found_in_any_order(said: list[PaymentReport]) -> None:
    paid = any(word.outcome is Outcome.PAID and payment().mismatch(word) is None for word in said)

    assert reduce(hear, said, payment()).captured == (1999 if paid else 0)


@given(st.lists(payment_reports, max_size=8), decisions, payment_reports)
def test_a_decision_never_moves_a_payment_that_has_ended(
    said: list[PaymentReport], action: ResolveAction, disputed: PaymentReport
) -> None:
    state = reduce(hear, said, payment())

    decided = state.resolve(action, disputed)

    if state.status is PaymentStatus.PENDING:
        assert decided.status is state.status or decided.status in TRANSITIONS[state.status]
    else:
        assert (decided.status, decided.captured) == (state.status, state.captured)


@given(st.lists(payment_reports, max_size=8))
def test_acceptance_follows_the_late_rules_only(said: list[PaymentReport]) -> None:
    state = reduce(hear, said, payment())

    accepted = state.accept_late()

    if accepted is not state:
        assert state.late
        assert accepted.status in LATE_TRANSITIONS[state.status]
    assert accepted.captured == state.captured
    assert accepted.accept_late() is accepted


@given(st.lists(refund_reports, max_size=12))
def test_whatever_is_reported_a_refund_ends_once(said: list[RefundReport]) -> None:
    state = refund()
    for word in said:
        after = hear_refund(state, word)
        assert after.status is state.status or after.status in REFUND_TRANSITIONS[state.status]
        if state.status is not RefundStatus.PENDING:
            assert after is state
        assert after.amount == 500
        assert hear_refund(after, word) == after
        state = after
