"""A payment's conversation with its provider: submit, ask, close. Every call may be repeated."""

from contextlib import suppress
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import FailureError

from activities.fast_path import Placed
from activities.provider_calls import Closing, ProviderActivities, Submission
from domain.checkout import Created
from domain.own_refunds import is_cancelled
from domain.payment import Channel, Failure
from domain.report import PaymentReport
from workflows.failures import failure_of, rejection
from workflows.payment_state import PaymentState
from workflows.policies import PaymentPolicy, provider_queue
from workflows.steps import WEIGHED, happens, seconds_until


class Conversation:
    """Talks to the provider on behalf of one run and lets its state hear the answers."""

    def __init__(self, state: PaymentState, policy: PaymentPolicy) -> None:
        self._state = state
        self._policy = policy
        self._queue = provider_queue(state.payment.provider)
        self._doubtful_until: datetime | None = None

    @property
    def confirmation_waits(self) -> tuple[float, ...]:
        """Seconds between questions about money told of after the end."""
        return self._policy.confirmation_waits

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

    async def ask(self, summary: str, *, within: float = 30) -> PaymentReport:
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
        return await self.ask(summary)

    async def ask_patiently(self, summary: str) -> PaymentReport:
        """The same, for as long as the truth may stay unknown."""
        return await self.ask(summary, within=self._policy.alarm_after)

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
            self._state.hear(asking.result())
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
        if is_cancelled(self._state.payment, closed.report) and self._gives_money_back():
            self._state.forget_money()
        self._state.hear(closed.report)
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
        return cancelled and self._state.payment.is_paid and workflow.patched(WEIGHED)

    def _until_expiry(self) -> float:
        return seconds_until(self._state.payment.expires_at)
