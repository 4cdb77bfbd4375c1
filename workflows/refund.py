"""One refund, from the money set aside to the provider's word that it was given back."""

import asyncio
from contextlib import suppress

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from activities.refunds import RefundActivities
from domain.errors import KEY_REUSED
from domain.frozen import Frozen
from domain.notification import Notification
from domain.payment import Payment
from domain.refund import Refund, RefundCause, RefundStatus
from domain.report import Attention
from domain.resolution import Resolution, ResolveAction
from storage.refunds import ALREADY_GIVEN_BACK
from workflows import details, search_attributes
from workflows.attention import Calls
from workflows.failures import failure_of, refusal
from workflows.owed_refund import call_where_owed, reserve
from workflows.policies import RefundPolicy
from workflows.refund_conversation import RefundConversation
from workflows.refund_state import GOES_ON, RefundState
from workflows.reported_refunds import flag_external_refunds
from workflows.steps import WaitAlarm, happens, in_our_books, tell_merchant, wait_or_alarm

# Seconds from a refund's request to its refusal, after which the request may have been answered.
ANSWERED_BY = 5.0
RECORD_REFUSAL = "a refund that is refused after its request was answered is recorded"


class RefundOrder(Frozen):
    """What a refund workflow is started with; `resumed` where an earlier one may have submitted."""

    refund: Refund
    payment: Payment
    policy: RefundPolicy
    resumed: bool = False


@workflow.defn
class RefundWorkflow:
    """Reserve, submit, wait for the provider's word, settle, tell the merchant."""

    @workflow.init
    def __init__(self, order: RefundOrder) -> None:
        self._request_hash = order.refund.request_hash
        self._policy = order.policy
        self._state = RefundState(order.refund)
        self._provider = RefundConversation(self._state, order.policy, order.payment)
        self._payment = order.payment
        self._resumed = order.resumed
        self._calls = Calls(order.policy)
        self._refused: ApplicationError | None = None

    @workflow.run
    async def run(self, order: RefundOrder) -> Refund:
        """The refund as it ended. Fails only where nothing was reserved and nothing sent."""
        story = asyncio.create_task(self._story())
        try:
            return await asyncio.shield(story)
        except asyncio.CancelledError:
            # Money set aside, maybe on its way back: a refund ends by the provider's word alone.
            return await story

    async def _story(self) -> Refund:
        await self._reserve()
        if self._state.pending:
            if not self._resumed:
                await self._submit()
            await self._await_word()
        if not self._state.settled:  # untraced branch: test_owed_refunds
            # Also where an earlier try of this task wrote the end and died before it told.
            await self._settle()
        await self._hear_what_comes_late()
        return self._state.refund

    @workflow.update(description="Waits until the provider has answered the submission")
    async def submitted(self, request_hash: str) -> Refund:
        """The refund once the provider has taken it, or its final state."""
        await workflow.wait_condition(lambda: self._refused is not None or self._state.answerable)
        if self._refused is not None:
            raise self._refused
        return self._state.refund

    @submitted.validator
    def _same_request(self, request_hash: str) -> None:
        if request_hash != self._request_hash:
            raise ApplicationError(KEY_REUSED, type="idempotency_key_reused", non_retryable=True)

    @workflow.update(description="Ask the provider now")
    async def sync(self) -> Refund:
        """The refund after asking the provider."""
        if self._state.pending:
            await self._provider.ask("ask the provider (operator)")
            await workflow.wait_condition(lambda: self._state.settled or self._state.pending)
        return self._state.refund

    @workflow.update(description='{"action": "accept|close|ask_again", "note": "who and why"}')
    async def resolve(self, resolution: Resolution) -> Refund:
        """A person's decision, where the provider's word does not settle it."""
        self._state.resolution = resolution
        await workflow.wait_condition(
            lambda: self._state.resolution is None and (self._state.settled or self._state.pending)
        )
        return self._state.refund

    @resolve.validator
    def _resolvable(self, resolution: Resolution) -> None:
        refused = self._state.refuses_resolution(resolution)
        if refused is not None:
            raise ApplicationError(refused, type="not_resolvable", non_retryable=True)
        if resolution.action is ResolveAction.REFUND:
            why = "A refund can be accepted, closed or asked again."
            raise ApplicationError(why, type="invalid_request", non_retryable=True)

    @workflow.signal(description="A provider's notification, verified by the API")
    def notify(self, notification: Notification) -> None:
        """Hear the provider's word; a repeat changes nothing."""
        if notification.refund is not None:
            claims = notification.needs_confirmation
            hear = self._state.hear_claim if claims else self._state.hear
            hear(notification.refund)

    async def _reserve(self) -> None:
        self._show("Setting the money aside")
        try:
            stored = await reserve(self._policy, self._calls, self._state.refund)
        except FailureError as error:
            self._refused = refusal(error)
            if self._refused is not None and await self._record_refusal(self._refused):
                return
            if self._refused is None or self._refused.type != ALREADY_GIVEN_BACK:
                await call_where_owed(self._calls, self._payment, self._state.refund, ended=False)
                await self._hear_what_comes_late()
                raise
            self._state.fail(failure_of(self._refused))
            self._state.settle(self._state.refund)
            self._show_end()
        else:
            self._state.reserve(stored)
            if self._resumed:
                self._state.resume()

    async def _record_refusal(self, refused: ApplicationError) -> bool:
        """Record the refused refund as failed where its merchant was answered that it is taken on.

        The API answers 202 after eight seconds: from five on, this counts as said.
        """
        waited = (workflow.now() - self._state.refund.created_at).total_seconds()
        is_requested = self._state.refund.cause is RefundCause.REQUESTED
        if not is_requested or waited < ANSWERED_BY or not workflow.patched(RECORD_REFUSAL):
            return False
        self._state.fail(failure_of(refused))
        try:
            recorded = await in_our_books(
                self._policy,
                RefundActivities.record_refused_refund,
                self._state.refund,
                "record that the refund was refused",
            )
        except FailureError:
            return False
        if recorded.refund.status is RefundStatus.PENDING:
            # The request has reserved it itself since, as other money came free.
            self._refused = None
            self._state.reserve(recorded.refund)
            return True
        self._state.settle(recorded.refund)
        self._show_end()
        self._calls.beside(tell_merchant(self._policy, recorded.event_id))
        return True

    async def _submit(self) -> None:
        self._show("Asking the provider to give the money back")
        await self._provider.submit()

    async def _await_word(self) -> None:
        while self._state.pending:
            if self._state.resolution is not None:
                self._state.resolve(self._state.resolution)
                self._provider.restart_alarm()
            elif self._state.doubt is not None:
                await self._settle_doubt(self._state.doubt)
            elif self._state.to_confirm:
                await self._confirm()
            elif not self._state.taken:
                await self._submit_again()
            elif not self._state.waited:
                await self._wait_for_word()
            else:
                await self._provider.poll(self._flag_unknown)

    async def _submit_again(self) -> None:
        """Until the provider answers: an operator is called after a while, and querying goes on."""
        sending = self._provider.submit_again()
        await wait_or_alarm(
            lambda: sending.done() or self._state.moved,
            WaitAlarm(self._policy.alarm_after, self._flag_unknown),
            "the provider does not answer",
        )
        await self._provider.hear_out(sending)

    async def _wait_for_word(self) -> None:
        self._show("Waiting for the provider's word")
        await happens(
            lambda: self._state.moved, self._policy.grace, "silence before the provider is asked"
        )
        self._state.waited = True

    async def _confirm(self) -> None:
        """The provider's rule: a notification is proof once a query says the same."""
        self._show("Querying whether the notification holds")
        self._state.to_confirm = False
        # Whatever is not settled now is found by the polling.
        self._state.waited = True
        with suppress(FailureError):
            await self._provider.ask("confirm the notification")

    async def _settle_doubt(self, why: Attention) -> None:
        """Flag the refund and wait until a person or the provider settles it."""
        self._state.doubt = None
        await self._flag(why)
        if why in GOES_ON:
            return
        self._show("An operator must decide")
        await workflow.wait_condition(
            lambda: (
                self._state.resolution is not None
                or self._state.to_confirm
                or not self._state.pending
            )
        )

    async def _settle(self) -> None:
        settled = await in_our_books(
            self._policy,
            RefundActivities.settle_refund,
            self._state.refund,
            "settle the refund",
            queued=self._state.decided,
        )
        self._state.settle(settled.refund)
        self._show_end()
        self._calls.beside(tell_merchant(self._policy, settled.event_id))
        # Less than ours alone, and what was refunded before, is nobody else's.
        if self._state.refunded > self._state.refund.amount + self._payment.refunded:
            payment_id = self._state.refund.payment_id
            await flag_external_refunds(self._calls, payment_id, self._state.refunded)
        if self._state.refund.status is RefundStatus.FAILED:
            await call_where_owed(self._calls, self._payment, self._state.refund)

    async def _hear_what_comes_late(self) -> None:
        """Until the merchant knows; a word that contradicts the end may come meanwhile."""
        while not self._all_is_said() or self._state.unsettled:
            await workflow.wait_condition(lambda: self._state.unsettled or self._all_is_said())
            claim = self._state.take_claim()
            if claim is not None:
                await self._provider.settle_claim(claim)
            if self._state.contradiction is not None:
                await self._flag_contradiction(self._state.contradiction)
        await self._calls.answered()

    async def _flag_contradiction(self, why: Attention) -> None:
        """The books stay as they are: only a person can say which of the provider's words holds."""
        self._state.contradiction = None
        if self._state.refund.attention is why:
            return
        await self._flag(why)
        await self._calls.about_payment(
            self._state.refund.payment_id, why, f"refund {self._state.refund.id}: {why}"
        )

    def _all_is_said(self) -> bool:
        return self._calls.done and workflow.all_handlers_finished()

    async def _flag(self, why: Attention) -> None:
        self._state.flag(why)
        self._show("Flagged for a person")
        await self._calls.about_refund(self._state.refund.id, why, self._state.detail(why))

    async def _flag_unknown(self) -> None:
        if self._state.refund.attention is not Attention.REFUND_BLOCKED:
            await self._flag(Attention.OUTCOME_UNKNOWN)

    def _show_end(self) -> None:
        self._show("Settled")
        workflow.upsert_search_attributes(
            [
                search_attributes.STATUS.value_set(self._state.refund.status),
                search_attributes.attention_update(self._state.refund.attention),
            ]
        )

    def _show(self, headline: str) -> None:
        workflow.set_current_details(details.refund_now(self._state.refund, headline))
