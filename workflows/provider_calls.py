"""Calls to the provider for one payment or refund: submit, query, close. Each may be repeated."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

from temporalio import workflow
from temporalio.exceptions import FailureError

from activities.fast_path import Placed
from activities.provider_calls import Closing, ProviderActivities, RefundSubmission, Submission
from domain.checkout import Created
from domain.own_refunds import is_cancelled
from domain.payment import Channel, Failure, Payment
from domain.report import Attention, PaymentReport, RefundReport
from workflows.failures import blockage, failure_of, rejection
from workflows.payment_state import PaymentState
from workflows.policies import PaymentPolicy, RefundPolicy, provider_queue
from workflows.refund_confirmation import confirmation
from workflows.refund_state import GOES_ON, RefundState
from workflows.steps import WaitAlarm, happens, seconds_until, wait_or_alarm


class Conversation:
    """Talks to the provider on behalf of one run and lets its state hear the answers."""

    def __init__(self, state: PaymentState, policy: PaymentPolicy) -> None:
        self._state = state
        self._policy = policy
        self._queue = provider_queue(state.payment.provider)
        self._doubtful_until: datetime | None = None

    async def submit(self, placed: Placed) -> Created | Failure | None:
        """The provider's answer to the order, or its definite no; None where there will be none."""
        if placed.created or placed.rejected:
            return placed.created or placed.rejected
        try:
            if placed.maybe_sent:
                return await self._submit_again()
            return await self._submit_first(ask_first=placed.resumed)
        except FailureError as error:
            rejected = rejection(error)
            return failure_of(rejected) if rejected else None

    async def query(self, summary: str, *, within: float = 30) -> PaymentReport:
        """What the provider says now. Raises FailureError where it does not say so in time."""
        return await workflow.execute_activity_method(
            ProviderActivities.query_payment,
            self._state.payment,
            **self._policy.call_slow.activity(summary, queue=self._queue, total=within),
        )

    async def confirm(self) -> PaymentReport:
        """Whether a notification holds, asked in this very task first; raises as `ask` does."""
        summary = "confirm the notification"
        if self._policy.confirm_fast is not None:
            # Whatever went wrong, the queue may ask again.
            with suppress(FailureError):
                return await workflow.execute_local_activity_method(
                    ProviderActivities.query_payment,
                    self._state.payment,
                    **self._policy.confirm_fast.local(summary),
                )
        return await self.query(summary)

    async def query_patiently(self, summary: str) -> PaymentReport:
        """The same, for as long as the truth may stay unknown."""
        return await self.query(summary, within=self._policy.alarm_after)

    async def poll(self) -> None:
        """Ask until the word is final or the payment expires; a notification may come first."""
        asking = workflow.start_activity_method(
            ProviderActivities.poll_payment,
            self._state.payment,
            **self._policy.poll.activity(
                "ask until the word is final", queue=self._queue, total=self._until_expiry()
            ),
        )
        await workflow.wait_condition(lambda: asking.done() or self._state.moved)
        if not asking.done():
            asking.cancel()
            return
        try:
            self._state.apply_report(asking.result())
        except FailureError:
            # The next question would have come after the expiry: wait for that instead.
            await happens(lambda: self._state.moved, self._until_expiry(), "until expiry")

    async def close(self) -> bool:
        """End the order at the provider, and apply what it says then: it may have been paid.

        False where it does not say. Money that was reported meanwhile, and that our cancel may have
        given back, is then in dispute.
        """
        # Where only its time ends an order, nobody has to be called before that.
        until_closable = 0 if self._policy.closable else self._until_expiry()
        closing = workflow.start_activity_method(
            ProviderActivities.close_payment,
            Closing(payment=self._state.payment, doubtful_until=self._doubtful_until),
            **self._policy.close.activity(
                "close, then ask once more",
                queue=self._queue,
                total=self._policy.alarm_after + until_closable,
            ),
        )
        await workflow.wait_condition(lambda: closing.done() or self._state.decided)
        if not closing.done() and self._gives_money_back():
            # Paid, says a notification, while our cancel may be what gives it back.
            await workflow.wait_condition(closing.done)
        if not closing.done():
            closing.cancel()
            return True
        try:
            closed = closing.result()
        except FailureError:
            if self._gives_money_back():
                # Whether it was given back is not known: a query or an operator says so.
                self._state.reopen()
                return True
            return False
        if is_cancelled(closed.report) and self._gives_money_back():
            self._state.forget_money()
        self._state.apply_report(closed.report)
        self._state.unknown_there = closed.unknown_there
        return True

    async def _submit_first(self, *, ask_first: bool) -> Created:
        submission = Submission(payment=self._state.payment, ask_first=ask_first)
        try:
            return await workflow.execute_local_activity_method(
                ProviderActivities.create_checkout,
                submission,
                **self._policy.call_fast.local("submit the order"),
            )
        except FailureError as error:
            if rejection(error):
                raise
        return await self._submit_again()

    async def _submit_again(self) -> Created:
        """The outcome is unknown: ask before sending again, until the payment expires."""
        sending = workflow.start_activity_method(
            ProviderActivities.create_checkout,
            Submission(payment=self._state.payment, ask_first=True),
            **self._policy.call_slow.activity(
                "submit the order, asking first", queue=self._queue, total=self._until_expiry()
            ),
        )
        await workflow.wait_condition(lambda: sending.done() or self._state.moved)
        if not sending.done():
            sending.cancel()
        try:
            return await sending
        except FailureError as error:
            if rejection(error) is None:
                # The attempt that was on its way when we gave up may still be executed.
                self._doubtful_until = workflow.now() + timedelta(seconds=self._policy.in_flight)
            raise

    def _gives_money_back(self) -> bool:
        """Whether what the order is ended by refunds it where it was paid (Alipay, WeChat Pay)."""
        cancelled = self._state.payment.channel is Channel.BARCODE and self._policy.closable
        return cancelled and self._state.payment.is_paid

    def _until_expiry(self) -> float:
        return seconds_until(self._state.payment.expires_at)


Sending = workflow.ActivityHandle[RefundReport]


class RefundConversation:
    """Talks to the provider on behalf of one run and lets its state hear the answers."""

    def __init__(self, state: RefundState, policy: RefundPolicy, payment: Payment) -> None:
        self._state = state
        self._policy = policy
        self._payment = payment
        self._queue = provider_queue(state.refund.provider)
        self._alarm_at: datetime | None = None

    async def submit(self) -> None:
        """One try inside the workflow task. Where it tells nothing, the refund is not `taken`."""
        try:
            report = await workflow.execute_local_activity_method(
                ProviderActivities.submit_refund,
                self._submission(),
                **self._policy.call_fast.local("submit the refund"),
            )
        except FailureError as error:
            self._apply_rejection(error)
        else:
            self._state.take(report)

    def submit_again(self) -> Sending:
        """Ask before sending again, for as long as it takes: the outcome is unknown."""
        how = self._policy.call_slow.activity("submit the refund, asking first", queue=self._queue)
        # Given up, an attempt that is on its way still says what it did.
        how["cancellation_type"] = workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
        return workflow.start_activity_method(
            ProviderActivities.submit_refund, self._submission(ask_first=True), **how
        )

    async def await_answer(self, sending: Sending) -> None:
        """The answer to the submission, or its end where something else came first."""
        if not sending.done():
            sending.cancel()
            if not self._state.pending:
                return
        try:
            report = await sending
        except FailureError as error:
            if not self._state.moved and not self._apply_rejection(error):
                self._state.doubt = Attention.OUTCOME_UNKNOWN
        else:
            self._state.take(report)

    async def poll(self, alarm: Callable[[], Awaitable[None]]) -> None:
        """Query until the report is final; a notification or an operator may come first.

        `alarm` is called once where the refund has been pending for longer than the policy lets it.
        """
        asking = workflow.start_activity_method(
            ProviderActivities.poll_refund,
            self._submission(),
            **self._policy.poll.activity("ask until the refund is final", queue=self._queue),
        )

        def over() -> bool:
            return self._state.moved or asking.done()

        within = self._seconds_to_alarm()
        if within is None:
            await workflow.wait_condition(over)
        else:
            await wait_or_alarm(over, WaitAlarm(within, alarm), "the refund is not final")
        if not asking.done():
            asking.cancel()
            return
        try:
            self._state.apply_report(asking.result())
        except FailureError as error:
            blocked = blockage(error)
            if blocked is not None:
                self._state.block(failure_of(blocked))
                return
            self._state.doubt = Attention.OUTCOME_UNKNOWN
            workflow.logger.warning("polling the refund ended: %s", error)

    def restart_alarm(self) -> None:
        """Give the provider the policy's whole time again: an operator wants it queried on."""
        self._alarm_at = None

    async def query(self, summary: str) -> None:
        """What the provider says now. Raises FailureError where it does not say within 30 s."""
        self._state.apply_report(await self._query(summary, within=30))

    async def settle_claim(self, claim: RefundReport) -> None:
        """Query about a notification that contradicts the end until it is settled or given up."""
        query = partial(self._query, "confirm the notification", within=self._policy.alarm_after)
        found = await confirmation(claim, query, self._policy.confirmation_waits)
        if found is None:
            self._state.contradiction = Attention.CONTRADICTION
        else:
            self._state.apply_report(found)

    async def _query(self, summary: str, *, within: float) -> RefundReport:
        return await workflow.execute_activity_method(
            ProviderActivities.query_refund,
            self._submission(),
            **self._policy.call_slow.activity(summary, queue=self._queue, total=within),
        )

    def _seconds_to_alarm(self) -> float | None:
        """None where no alarm is due: without a limit, or with an operator called already."""
        limit = self._policy.final_within
        if limit is None or self._state.refund.attention is not None:
            return None
        if self._alarm_at is None:
            self._alarm_at = workflow.now() + timedelta(seconds=limit)
        return seconds_until(self._alarm_at)

    def _apply_rejection(self, error: FailureError) -> bool:
        """Take a definite no; False where the error is none."""
        rejected, blocked = rejection(error), blockage(error)
        if rejected is not None:
            self._state.reject(failure_of(rejected))
        if blocked is not None:
            self._state.block(failure_of(blocked))
        return bool(rejected or blocked)

    def _submission(self, *, ask_first: bool = False) -> RefundSubmission:
        refund = self._state.refund
        if refund.attention not in GOES_ON:
            # An activity takes a flag for the one that its own answer raised.
            refund = refund.model_copy(update={"attention": None})
        return RefundSubmission(refund=refund, payment=self._payment, ask_first=ask_first)
