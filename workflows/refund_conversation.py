"""A refund's conversation with its provider: submit, ask. Every call may be repeated."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial

from temporalio import workflow
from temporalio.exceptions import FailureError

from activities.provider_calls import ProviderActivities, RefundSubmission
from domain.payment import Payment
from domain.report import Attention, RefundReport
from workflows.failures import blockage, failure_of, rejection
from workflows.policies import RefundPolicy, provider_queue
from workflows.refund_confirmation import confirmation
from workflows.refund_state import GOES_ON, RefundState
from workflows.steps import WaitAlarm, seconds_until, wait_or_alarm

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
            self._hear_refusal(error)
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

    async def hear_out(self, sending: Sending) -> None:
        """The answer to the submission, or its end where something else came first."""
        if not sending.done():
            sending.cancel()
            if not self._state.pending:
                return
        try:
            report = await sending
        except FailureError as error:
            if not self._state.moved and not self._hear_refusal(error):
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
            self._state.hear(asking.result())
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

    async def ask(self, summary: str) -> None:
        """What the provider says now. Raises FailureError where it does not say within 30 s."""
        self._state.hear(await self._query(summary, within=30))

    async def settle_claim(self, claim: RefundReport) -> None:
        """Query about a notification that contradicts the end until it is settled or given up."""
        query = partial(self._query, "confirm the notification", within=self._policy.alarm_after)
        found = await confirmation(claim, query, self._policy.confirmation_waits)
        if found is None:
            self._state.contradiction = Attention.CONTRADICTION
        else:
            self._state.hear(found)

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

    def _hear_refusal(self, error: FailureError) -> bool:
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
