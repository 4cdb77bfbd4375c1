"""Every order of reports, updates, timers and failures through a payment's `next_step`. No server.

The machine executes each step as the workflow does, against a database and a provider that answer
whatever hypothesis draws. What arrives while a step is executed is drawn, too.
"""

from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from activities.fast_path import Placed
from domain.checkout import Checkout, CheckoutKind, Created
from domain.merchant import LatePolicy
from domain.own_refunds import is_cancelled
from domain.payment import Failure, Payment, PaymentStatus
from domain.refund import RefundCause
from domain.report import Attention, Outcome, PaymentReport
from domain.resolution import Resolution, ResolveAction
from tests.domain.making import NOW, payment, report
from workflows.next_step import (
    Close,
    CompareRefunds,
    Confirm,
    ConfirmLate,
    Deliver,
    DropLateMoney,
    Finalise,
    FlagLate,
    PaymentStep,
    Poll,
    Record,
    Resolve,
    ReviewDispute,
    ReviewHeld,
    SettleLateMoney,
    SubmitOrder,
    Wait,
    WatchExpiry,
)
from workflows.payment_state import PaymentState

GRACE = timedelta(seconds=20)
FAILURE = Failure(code="provider_rejected", message="no")
CREATED = Created(checkout=Checkout(kind=CheckoutKind.QR, value="qr"), provider_reference="P9")
# A workflow that nobody answers is at rest after so many steps.
ENOUGH = 60

reports = st.builds(
    lambda outcome, amount, mismatch, refunded: report(
        outcome, amount=amount, mismatch=mismatch, refunded=refunded
    ),
    st.sampled_from(Outcome),
    st.sampled_from([1999, 1999, 1999, None, 0, 1]),
    st.sampled_from([None, None, None, Attention.ACCOUNT_MISMATCH, Attention.OUTCOME_UNKNOWN]),
    st.sampled_from([None, None, 500, 1999]),
)
answers = st.none() | reports
resolutions = st.builds(Resolution, action=st.sampled_from(ResolveAction), note=st.just("who"))
# What comes in by a signal or an update, at any time.
arrivals = st.one_of(
    st.tuples(st.just("report"), reports),
    st.tuples(st.just("claim"), reports),
    st.tuples(st.just("cancel"), st.none()),
    st.tuples(st.just("resolve"), resolutions),
)


class PaymentExecution(RuleBasedStateMachine):
    """A payment's workflow without Temporal."""

    @initialize(
        resumed=st.booleans(),
        attention=st.none() | st.sampled_from([Attention.AMOUNT_MISMATCH, Attention.CONTRADICTION]),
        late_policy=st.sampled_from(LatePolicy),
    )
    def start(
        self,
        resumed: bool,  # noqa: FBT001 - drawn by name
        attention: Attention | None,
        late_policy: LatePolicy,
    ) -> None:
        self.state = PaymentState(payment(attention=attention if resumed else None))
        self.row = self.state.payment
        self.resumed = resumed
        self.now = NOW
        self.was_silent = False
        self.late_policy = late_policy
        self.alarms: set[Attention] = set()
        self.refunds: dict[RefundCause, int] = {}
        self.stated_failure = False
        self.resolved_to_fail = False
        self.delivered: list[PaymentStatus] = []

    # The world

    @rule(what=arrivals)
    def arrives(self, what: tuple[str, Any]) -> None:
        kind, value = what
        if kind == "report":
            self.apply(value)
        elif kind == "claim":
            self.state.apply_claim(value)
        elif kind == "cancel" and self.state.refuses_cancel() is None:
            self.state.cancelled = True
        elif kind == "resolve" and self.state.refuses_resolution(value) is None:
            self.state.resolution = value

    def apply(self, said: PaymentReport) -> None:
        if said.outcome is Outcome.FAILED:
            self.stated_failure = True
        self.state.apply_report(said)

    def flag(self, why: Attention) -> None:
        self.alarms.add(why)
        self.state.flag(why)

    def refund(self, cause: RefundCause) -> None:
        """Start the refund of all that no other refund holds, once for each cause."""
        rest = self.row.captured - sum(self.refunds.values())
        if rest > 0 and cause not in self.refunds:
            self.refunds[cause] = rest

    # The workflow

    @rule(
        during=st.lists(arrivals, max_size=2),
        answer=answers,
        again=answers,
        works=st.booleans(),
    )
    def executes(
        self,
        during: list[tuple[str, Any]],
        answer: PaymentReport | None,
        again: PaymentReport | None,
        works: bool,  # noqa: FBT001 - drawn by name
    ) -> None:
        self.execute(during, answer, again, works=works)

    def execute(
        self,
        during: list[tuple[str, Any]],
        answer: PaymentReport | None,
        again: PaymentReport | None,
        *,
        works: bool,
    ) -> PaymentStep:
        step = self.state.next_step(self.now, GRACE)
        ended = self.state.ended()
        for what in during:
            self.arrives(what)
        if isinstance(step, Wait | Poll | Close):
            self.wait(step, answer)
        elif isinstance(step, Record | SubmitOrder | Finalise):
            self.write(step, ended, answer, works=works)
        elif isinstance(step, Resolve | ReviewDispute | ReviewHeld | Confirm):
            self.review(step, answer)
        else:
            self.late(step, answer, again, works=works)
        return step

    def wait(self, step: Wait | Poll | Close, answer: PaymentReport | None) -> None:
        expires_at = self.state.payment.expires_at
        if isinstance(step, Wait):
            # Once nothing was heard for the grace, the provider is queried.
            assert not self.was_silent
            assert self.now < step.until <= min(expires_at, self.now + GRACE)
            if not self.state.moved:
                self.now, self.state.silent, self.was_silent = step.until, True, True
        elif isinstance(step, Poll):
            assert step.until == expires_at > self.now
            if self.state.moved:
                return
            if answer is None:
                self.now = expires_at
            else:
                self.apply(answer)
        elif self.state.decided:
            return
        elif answer is None:
            self.flag(Attention.OUTCOME_UNKNOWN)
        else:
            if is_cancelled(answer) and self.state.payment.is_paid:
                self.state.forget_money()
            self.apply(answer)
            self.state.unknown_there = answer.outcome is Outcome.CLOSED

    def write(
        self,
        step: Record | SubmitOrder | Finalise,
        ended: Payment,
        answer: PaymentReport | None,
        *,
        works: bool,
    ) -> None:
        if isinstance(step, Record):
            self.state.place(Placed(payment=self.row, resumed=self.resumed))
            if self.resumed and self.state.pending:
                self.state.resume()
        elif isinstance(step, SubmitOrder):
            if works:
                self.state.take(CREATED)
                if answer is not None:
                    self.apply(answer)
            elif answer is None:
                self.stated_failure = True
                self.state.fail(FAILURE)
            self.state.answer()
        elif not works and ended.captured:
            # Another payment holds the provider's number.
            self.state.reopen()
            self.flag(Attention.CONTRADICTION)
        else:
            self.finalise(ended, duplicate=answer is not None and bool(ended.captured))

    def finalise(self, ended: Payment, *, duplicate: bool) -> None:
        assert ended.status is not PaymentStatus.PENDING
        assert (ended.captured > 0) == (ended.status is PaymentStatus.SUCCEEDED)
        self.row = ended.model_copy(update={"duplicate": duplicate})
        self.state.finalise(self.row)
        if duplicate:
            self.refund(RefundCause.DUPLICATE_PAYMENT)

    def review(
        self, step: Resolve | ReviewDispute | ReviewHeld | Confirm, answer: PaymentReport | None
    ) -> None:
        if isinstance(step, Resolve):
            if self.state.drop_overtaken(step.resolution):
                return
            if step.resolution.action is ResolveAction.REFUND:
                self.late_policy = LatePolicy.REFUND
            elif step.resolution.action is ResolveAction.ACCEPT:
                self.late_policy = LatePolicy.ACCEPT
            self.state.resolve(step.resolution)
        elif isinstance(step, ReviewDispute):
            self.flag(self.state.payment.mismatch(step.report) or Attention.CONTRADICTION)
            self.state.to_confirm = False
            if answer is not None:
                self.stated_failure |= answer.outcome is Outcome.FAILED
                self.state.dispel(step.report, answer)
        elif isinstance(step, ReviewHeld):
            self.flag(step.why)
            if answer is not None:
                self.state.review_held(answer)
        else:
            self.state.to_confirm, self.state.silent = False, True
            if answer is not None:
                self.apply(answer)

    def late(
        self,
        step: PaymentStep,
        answer: PaymentReport | None,
        again: PaymentReport | None,
        *,
        works: bool,
    ) -> None:
        match step:
            case WatchExpiry():
                self.state.watch()
            case ConfirmLate():
                self.confirm_late(answer, again)
            case DropLateMoney():
                self.state.drop_late_money()
            case SettleLateMoney():
                self.settle_late_money(works=works)
            case CompareRefunds():
                self.state.compare(step.refunded)
                self.flag(Attention.EXTERNAL_REFUND)
            case FlagLate():
                self.state.drop_dispute()
                self.flag(self.state.payment.mismatch(step.report) or Attention.CONTRADICTION)
            case _:
                assert isinstance(step, Deliver)
                self.delivered.append(self.row.status)
                if not works:
                    # The merchant cannot fulfil the order.
                    self.refund(RefundCause.MERCHANT_VETO)
                    assert sum(self.refunds.values()) == self.row.captured

    def confirm_late(self, *found: PaymentReport | None) -> None:
        for said in found:
            self.state.to_confirm = False
            if said is None:
                self.flag(Attention.OUTCOME_UNKNOWN)
            else:
                self.apply(said)
            if self.state.claimed is None:
                return
        self.state.claimed = None
        self.flag(Attention.CONTRADICTION)

    def settle_late_money(self, *, works: bool) -> None:
        owed = self.state.payment
        assert owed.captured > 0
        assert self.row.captured == 0
        if not works:
            self.state.refuse_late_money()
            return
        self.row = owed.accept_late() if self.late_policy is LatePolicy.ACCEPT else owed
        if self.row.status is not PaymentStatus.SUCCEEDED:
            self.refund(RefundCause.LATE_PAYMENT)
        self.state.settle_late_money(self.row)

    # What must hold

    @invariant()
    def no_more_is_refunded_than_was_captured(self) -> None:
        assert sum(self.refunds.values()) <= self.row.captured

    @invariant()
    def failed_is_the_providers_statement(self) -> None:
        if self.state.payment.status is PaymentStatus.FAILED:
            assert self.stated_failure

    @invariant()
    def money_that_is_at_rest_is_the_merchants_or_goes_back(self) -> None:
        if not isinstance(self.state.next_step(self.now, GRACE), Deliver):
            return
        captured = self.row.captured
        # What our own cancel gave back is nobody's, however often it was reported as paid.
        assert self.state.payment.captured == captured or self.state.undone
        is_the_merchants = self.row.status is PaymentStatus.SUCCEEDED and not self.row.duplicate
        assert is_the_merchants or sum(self.refunds.values()) == captured

    @invariant()
    def an_end_stays(self) -> None:
        if self.state.final:
            assert self.state.payment.status is self.row.status

    def teardown(self) -> None:
        """Nobody answers any more: the workflow ends, or waits with an operator called."""
        if not hasattr(self, "state"):
            return
        for _ in range(ENOUGH):
            step = self.execute([], None, None, works=True)
            if isinstance(step, Deliver):
                return
            if isinstance(step, ReviewDispute | ReviewHeld | Close):
                assert self.state.payment.attention is not None
                assert self.state.next_step(self.now, GRACE) == step
                return
        raise AssertionError(step)


PaymentExecution.TestCase.settings = settings(
    max_examples=120, stateful_step_count=20, deadline=None
)
TestPaymentExecution = PaymentExecution.TestCase
