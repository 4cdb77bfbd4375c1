"""Every order of reports, updates, timers and failures through a refund's `next_step`. No server.

The machine executes each step as the workflow does; see test_next_payment_step.
"""

from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from domain.payment import Failure
from domain.refund import FINAL_STATUS, Refund, RefundStatus
from domain.report import Attention, RefundOutcome, RefundReport
from domain.resolution import Resolution, ResolveAction
from tests.domain.making import NOW, refund, refund_report
from workflows.next_step import (
    Confirm,
    Deliver,
    Finalise,
    FlagContradiction,
    Poll,
    Record,
    RefundStep,
    Resolve,
    ReviewDoubt,
    SettleClaim,
    Submit,
    SubmitAgain,
    Wait,
)
from workflows.refund_state import RefundState

GRACE = timedelta(seconds=10)
REJECTED = Failure(code="provider_rejected", message="no")
BLOCKED = Failure(code="provider_blocked", message="top up")
# A workflow that nobody answers is at rest after so many steps.
ENOUGH = 40

reports = st.builds(
    lambda outcome, amount, mismatch: refund_report(outcome, amount=amount, mismatch=mismatch),
    st.sampled_from(RefundOutcome),
    st.sampled_from([500, 500, 500, 499]),
    st.sampled_from([None, None, None, Attention.ACCOUNT_MISMATCH, Attention.CURRENCY_MISMATCH]),
)
# A call is answered, not answered, or refused.
answers = st.none() | reports | st.sampled_from([REJECTED, BLOCKED])
resolutions = st.builds(
    Resolution,
    action=st.sampled_from([ResolveAction.ACCEPT, ResolveAction.CLOSE, ResolveAction.ASK_AGAIN]),
    note=st.just("who"),
)
arrivals = st.one_of(
    st.tuples(st.just("report"), reports),
    st.tuples(st.just("claim"), reports),
    st.tuples(st.just("resolve"), resolutions),
)


class RefundExecution(RuleBasedStateMachine):
    """A refund's workflow without Temporal."""

    @initialize(
        resumed=st.booleans(),
        attention=st.sampled_from([None, Attention.AMOUNT_MISMATCH, Attention.REFUND_BLOCKED]),
    )
    def start(self, resumed: bool, attention: Attention | None) -> None:  # noqa: FBT001 - drawn
        self.row: Refund = refund(attention=attention if resumed else None)
        self.state = RefundState(refund())
        self.resumed = resumed
        self.now = NOW
        self.waited = False
        # What the provider, or an operator in its place, has stated.
        self.stated: set[RefundStatus] = set()
        self.alarms: list[Attention] = []

    @rule(what=arrivals)
    def arrives(self, what: tuple[str, Any]) -> None:
        kind, value = what
        if kind == "report":
            self.apply(value)
        elif kind == "claim":
            before = self.state.refund
            self.state.apply_claim(value)
            assert self.state.refund == before
        elif self.state.refuses_resolution(value) is None:
            self.state.resolution = value

    def note(self, said: RefundReport) -> None:
        """Keep what the provider has stated of this very refund."""
        status = FINAL_STATUS.get(said.outcome)
        if status is not None and self.state.refund.mismatch(said) is None:
            self.stated.add(status)

    def apply(self, said: RefundReport) -> None:
        self.note(said)
        self.state.apply_report(said)

    def flag(self, why: Attention) -> None:
        self.alarms.append(why)
        self.state.flag(why)

    @rule(during=st.lists(arrivals, max_size=2), answer=answers)
    def executes(
        self, during: list[tuple[str, Any]], answer: RefundReport | Failure | None
    ) -> None:
        self.execute(during, answer)

    def execute(
        self, during: list[tuple[str, Any]], answer: RefundReport | Failure | None
    ) -> RefundStep:
        step = self.state.next_step(self.now, GRACE)
        written = self.state.refund
        # A resolution is applied without a pause in which anything could arrive.
        for what in during if not isinstance(step, Resolve) else ():
            self.arrives(what)
        report = answer if isinstance(answer, RefundReport) else None
        match step:
            case Record():
                self.state.reserve(self.row)
                if self.resumed:
                    self.state.resume()
            case Submit():
                assert not self.resumed
                self.submit(answer)
                self.state.submit()
            case SubmitAgain():
                self.submit_again(answer)
            case Resolve():
                self.resolve(step.resolution)
            case Finalise():
                assert written.status is not RefundStatus.PENDING
                self.row = written
                self.state.settle(self.row)
            case _:
                self.wait_or_end(step, report)
        return step

    def submit(self, answer: RefundReport | Failure | None) -> bool:
        if answer == REJECTED:
            self.stated.add(RefundStatus.FAILED)
            self.state.reject(REJECTED)
        elif answer == BLOCKED:
            self.state.block(BLOCKED)
        elif isinstance(answer, RefundReport):
            self.note(answer)
            self.state.take(answer)
        return answer is not None

    def submit_again(self, answer: RefundReport | Failure | None) -> None:
        if self.state.moved and not isinstance(answer, RefundReport):
            return
        if not self.submit(answer):
            # The step goes on; an operator is called after a while.
            self.flag(Attention.OUTCOME_UNKNOWN)

    def resolve(self, resolution: Resolution) -> None:
        if resolution.action is ResolveAction.ACCEPT:
            self.stated.add(RefundStatus.SUCCEEDED)
        elif resolution.action is ResolveAction.CLOSE:
            self.stated.add(RefundStatus.FAILED)
        self.state.resolve(resolution)
        assert self.state.pending is (resolution.action is ResolveAction.ASK_AGAIN)

    def wait_or_end(  # noqa: C901, PLR0912 - one case for each step
        self, step: RefundStep, report: RefundReport | None
    ) -> None:
        match step:
            case Wait():
                assert step.until == self.now + GRACE
                assert not self.waited
                self.waited = self.state.waited = True
                if not self.state.moved:
                    self.now = step.until
            case ReviewDoubt():
                self.state.doubt = None
                self.flag(step.why)
            case Confirm():
                self.state.to_confirm, self.state.waited = False, True
                if report is not None:
                    self.apply(report)
            case Poll():
                if not self.state.moved and report is not None:
                    self.apply(report)
                elif not self.state.moved:
                    self.flag(Attention.OUTCOME_UNKNOWN)
            case SettleClaim():
                self.state.drop_claim()
                if report is None:
                    self.state.contradiction = Attention.CONTRADICTION
                else:
                    self.apply(report)
            case FlagContradiction():
                self.state.contradiction = None
                self.flag(step.why)
            case _:
                assert isinstance(step, Deliver)

    # What must hold

    @invariant()
    def an_end_is_what_was_stated(self) -> None:
        if not self.state.pending:
            assert self.state.refund.status in self.stated

    @invariant()
    def an_end_stays(self) -> None:
        if self.state.settled:
            assert self.state.refund.status is self.row.status

    @invariant()
    def a_no_never_overrules_a_claim_of_money(self) -> None:
        claimed = self.state.claimed
        if claimed is None or claimed.outcome is not RefundOutcome.SUCCEEDED:
            return
        # The end against it is queried about, or was an end before the claim came.
        is_denied = self.state.refund.status is RefundStatus.FAILED
        assert not is_denied or self.state.to_confirm

    def teardown(self) -> None:
        """Nobody answers any more: the workflow ends, or queries on with an operator called."""
        if not hasattr(self, "state"):
            return
        for _ in range(ENOUGH):
            step = self.execute([], None)
            if isinstance(step, Deliver):
                return
            if isinstance(step, Poll | SubmitAgain):
                assert self.state.refund.attention is not None
                assert self.state.next_step(self.now, GRACE) == step
                return
        raise AssertionError(step)


RefundExecution.TestCase.settings = settings(
    max_examples=120, stateful_step_count=20, deadline=None
)
TestRefundExecution = RefundExecution.TestCase
