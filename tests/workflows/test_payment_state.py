"""The run's state under every order of words, decisions and database refusals. No server."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain.checkout import Checkout, CheckoutKind, Created
from domain.payment import Failure, Payer, Payment, PaymentStatus
from domain.report import Attention, Outcome, PaymentReport
from domain.resolution import Resolution, ResolveAction
from tests.domain.making import payment, report
from workflows.payment_state import PaymentState

reports = st.builds(
    lambda outcome, amount, mismatch: report(outcome, amount=amount, mismatch=mismatch),
    st.sampled_from(Outcome),
    st.sampled_from([None, 0, -5, 1, 1999]),
    st.sampled_from(
        [
            *(None, None, Attention.ACCOUNT_MISMATCH, Attention.REFERENCE_MISMATCH),
            *(Attention.OUTCOME_UNKNOWN, Attention.CREDIT_PAYMENT, Attention.EXTERNAL_REFUND),
        ]
    ),
)
resolutions = st.builds(Resolution, action=st.sampled_from(ResolveAction), note=st.just("who"))
NOT_OURS = (Attention.ACCOUNT_MISMATCH, Attention.REFERENCE_MISMATCH)
FAILURE = Failure(code="provider_rejected", message="no")


class PaymentRun(RuleBasedStateMachine):
    """Drives the state as the workflow does, with books that follow the database's rules."""

    @initialize()
    def start(self) -> None:
        self.state = PaymentState(payment())
        self.books = self.state.payment
        self.told: list[PaymentReport] = []

    @rule(said=reports)
    def is_told(self, said: PaymentReport) -> None:
        self.told.append(said)
        before = self.state.payment
        self.state.hear(said)
        if before.mismatch(said) is not None:
            assert self.state.payment == before
        if before.status is PaymentStatus.SUCCEEDED:
            assert self.state.payment == before

    @rule(said=reports)
    def is_told_what_is_no_proof(self, said: PaymentReport) -> None:
        self.told.append(said)
        before = self.state.payment
        self.state.hear_claim(said)
        assert self.state.payment == before

    @rule()
    def has_asked(self) -> None:
        """A question whose answer may have been lost."""
        self.state.to_confirm = False

    @precondition(lambda self: not self.state.answered)
    @rule(said=st.none() | reports)
    def submits(self, said: PaymentReport | None) -> None:
        checkout = Checkout(kind=CheckoutKind.QR, value="qr")
        self.state.take(Created(checkout=checkout, report=said, provider_reference="P9"))
        self.state.answered = True

    @precondition(lambda self: not self.state.answered)
    @rule()
    def is_rejected(self) -> None:
        before = self.state.payment
        self.state.fail(FAILURE)
        assert before.status is PaymentStatus.PENDING or self.state.payment == before
        self.state.answered = True

    @precondition(lambda self: self.state.disputed is not None)
    @rule()
    def calls_a_person(self) -> None:
        self.state.flag(Attention.AMOUNT_MISMATCH)

    @rule(resolution=resolutions)
    def is_resolved(self, resolution: Resolution) -> None:
        if self.state.refuses_resolution(resolution) is not None:
            return
        disputed = self.state.disputed
        self.state.resolution = resolution
        assert self.state.moved
        self.state.resolve(resolution)
        if resolution.action in (ResolveAction.ACCEPT, ResolveAction.REFUND):
            assert disputed is not None
            assert self.state.payment.captured == disputed.amount
            assert disputed.amount > 0
            assert disputed.mismatch not in NOT_OURS

    @precondition(lambda self: not self.state.pending and not self.state.final)
    @rule(refused=st.booleans())
    def writes_the_end(self, refused: bool) -> None:  # noqa: FBT001
        ended = self.state.ended()
        assert ended.status is not PaymentStatus.PENDING
        assert (ended.captured > 0) == (ended.status is PaymentStatus.SUCCEEDED)
        assert not ended.late
        if refused and ended.captured:
            self.state.reopen()
            assert self.state.pending
            assert self.state.disputed is not None
            return
        self.books = ended
        self.state.finalise(self.books)

    @precondition(lambda self: self.state.final and self.state.owes_a_settlement)
    @rule(refused=st.booleans())
    def settles_late_money(self, refused: bool) -> None:  # noqa: FBT001
        owed = self.state.payment
        assert owed.captured > 0
        if refused:
            self.state.refuse_late_money()
            assert self.state.disputed is not None
        else:
            assert self.books.captured == 0
            self.books = owed
            self.state.settle_late_money(self.books)
        assert not self.state.owes_a_settlement

    @invariant()
    def the_money_is_lawful(self) -> None:
        now = self.state.payment
        assert now.captured >= 0
        assert (now.captured > 0) == (now.status is PaymentStatus.SUCCEEDED or now.late)

    @invariant()
    def a_final_end_stays(self) -> None:
        if self.state.final:
            assert self.state.payment.status is self.books.status
            assert self.state.refuses_cancel() is not None
            assert self.state.refuses_resolution(Resolution(action=ResolveAction.CLOSE, note="who"))

    @invariant()
    def no_word_of_money_is_lost(self) -> None:
        """What the provider called paid is captured, in dispute, asked about or decided on."""
        if not any(said.outcome is Outcome.PAID for said in self.told):
            return
        state = self.state
        known = (state.disputed, state.judged, state.claimed)
        assert state.payment.captured > 0 or any(word is not None for word in known)


PaymentRun.TestCase.settings = settings(max_examples=150, stateful_step_count=15, deadline=None)
TestPaymentRun = PaymentRun.TestCase


def parked(**changes: Any) -> PaymentState:
    state = PaymentState(payment())
    state.hear(report(**{"amount": 500} | changes))
    state.flag(Attention.AMOUNT_MISMATCH)
    return state


def decide(state: PaymentState, action: ResolveAction) -> Payment:
    resolution = Resolution(action=action, note="who")
    assert state.refuses_resolution(resolution) is None
    state.resolve(resolution)
    return state.payment


def test_a_contradiction_that_a_person_closed_brings_no_money_back() -> None:
    state = PaymentState(payment())
    state.hear(report())
    state.reopen()
    state.flag(Attention.CONTRADICTION)

    decide(state, ResolveAction.CLOSE)
    state.finalise(state.ended())

    assert (state.payment.status, state.payment.captured) == (PaymentStatus.CLOSED, 0)
    assert not state.owes_a_settlement


def test_a_definite_no_does_not_undo_what_was_paid() -> None:
    state = PaymentState(payment())
    state.hear(report())

    state.fail(FAILURE)

    assert (state.payment.status, state.payment.failure) == (PaymentStatus.SUCCEEDED, None)


@pytest.mark.parametrize("amount", [None, 0, -1])
def test_money_without_a_sum_is_neither_accepted_nor_given_back(amount: int | None) -> None:
    state = parked(amount=amount)

    for action in (ResolveAction.ACCEPT, ResolveAction.REFUND):
        assert state.refuses_resolution(Resolution(action=action, note="who"))


def test_a_decision_that_was_overtaken_does_not_outlive_the_end() -> None:
    state = parked()
    state.resolution = Resolution(action=ResolveAction.CLOSE, note="who")
    state.hear(report())

    state.finalise(state.ended())

    assert state.resolution is None
    assert state.payment.status is PaymentStatus.SUCCEEDED


def test_what_was_decided_on_is_disputed_again_only_while_the_payment_is_pending() -> None:
    closed, asked = parked(), parked()
    decide(closed, ResolveAction.CLOSE)
    decide(asked, ResolveAction.ASK_AGAIN)

    closed.hear(report(amount=500))
    asked.hear(report(amount=500))

    assert closed.disputed is None
    assert asked.disputed == report(amount=500)


def test_money_that_was_told_and_then_denied_is_found_by_money_alone() -> None:
    state = PaymentState(payment())
    state.hear_claim(report())
    state.hear(report(Outcome.CLOSED))

    denied = state.disputed
    assert denied == report()
    for nothing in (Outcome.NOT_FOUND, Outcome.PENDING, Outcome.CLOSED):
        assert not state.dispel(denied, report(nothing))
    assert state.pending
    assert state.dispel(denied, report())
    assert state.payment.captured == 1999


def test_a_person_who_decides_on_something_else_leaves_a_claim_to_be_asked_about() -> None:
    state = parked()
    state.hear_claim(report())
    state.to_confirm = False

    decide(state, ResolveAction.CLOSE)
    state.finalise(state.ended())

    assert state.claimed == report()
    assert state.unsettled


def test_a_repeat_of_what_a_person_has_decided_on_is_asked_about_and_calls_nobody() -> None:
    state = PaymentState(payment())
    state.hear_claim(report())
    state.hear(report(Outcome.CLOSED))
    state.flag(Attention.CONTRADICTION)
    decide(state, ResolveAction.CLOSE)
    state.finalise(state.ended())
    assert not state.unsettled

    state.hear_claim(report())

    assert state.unsettled
    assert state.claimed is None


def test_a_closed_payments_row_carries_nothing_of_money_that_came_late() -> None:
    state = PaymentState(payment())
    state.hear(report(Outcome.CLOSED))
    state.hear(report())

    ended = state.ended()

    assert (ended.status, ended.captured) == (PaymentStatus.CLOSED, 0)
    assert (ended.late, ended.paid_at) == (False, None)


@pytest.mark.parametrize("heard", [True, False])
def test_money_that_was_heard_of_while_the_order_was_placed_is_not_forgotten(heard: bool) -> None:  # noqa: FBT001 - a parameter of the test
    state = PaymentState(payment(payer=Payer(client_ip="203.0.113.7")))
    stored = payment()
    if heard:
        state.hear(report())

    state.place(stored)
    state.keep_paid()

    assert state.payment.captured == (1999 if heard else 0)
    assert state.pending is not heard
    assert state.payment.payer == Payer(client_ip="203.0.113.7")
    # The provider's no, from before it was paid, finds it paid.
    state.fail(FAILURE)
    assert (state.payment.status is PaymentStatus.SUCCEEDED) is heard


@pytest.mark.parametrize("why", [Attention.OUTCOME_UNKNOWN, Attention.CREDIT_PAYMENT])
def test_money_that_is_not_ours_for_certain_is_taken_by_an_operator_alone(why: Attention) -> None:
    """UnionPay debited the payer too late; Alipay's buyer pays later."""
    state = PaymentState(payment())
    doubtful = report(Outcome.PAID, amount=1999, mismatch=why)
    state.hear(doubtful)
    assert (state.payment.status, state.payment.captured) == (PaymentStatus.PENDING, 0)
    assert state.disputed == doubtful

    accept = Resolution(action=ResolveAction.ACCEPT, note="who")
    assert state.refuses_resolution(accept) is None
    state.resolve(accept)

    assert (state.payment.status, state.payment.captured) == (PaymentStatus.SUCCEEDED, 1999)


def test_a_payer_who_was_debited_too_late_is_paid_once_the_provider_says_so() -> None:
    state = PaymentState(payment())
    doubtful = report(Outcome.PAID, amount=1999, mismatch=Attention.OUTCOME_UNKNOWN)
    state.hear(doubtful)

    assert state.dispel(doubtful, report(Outcome.PAID, amount=1999))

    assert (state.payment.status, state.disputed) == (PaymentStatus.SUCCEEDED, None)
