"""One payment, from the order written down to the merchant told."""

import asyncio
from contextlib import suppress

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from activities.fast_path import Placed
from domain.checkout import Created
from domain.errors import KEY_REUSED
from domain.frozen import Frozen
from domain.merchant import LatePolicy
from domain.notification import Notification
from domain.payment import Payment
from domain.report import Attention
from domain.resolution import Resolution, ResolveAction
from workflows import details, search_attributes
from workflows.after_the_end import AfterTheEnd
from workflows.announcing import announce
from workflows.attention import Calls, PaymentFlag
from workflows.conversation import Conversation
from workflows.failures import refusal
from workflows.fast_path import place_the_order, write_the_end
from workflows.giving_back import refund_duplicate_and_notify
from workflows.payment_state import PaymentState
from workflows.policies import PaymentPolicy, RefundPolicy, refund_policy
from workflows.review import KEEPS_DECISION, Review
from workflows.steps import happens, seconds_until
from workflows.sync import IN_PROGRESS, Sync, SyncedPayment


class PaymentOrder(Frozen):
    """What a payment workflow is started with; `resumed` where an earlier execution was lost."""

    payment: Payment
    policy: PaymentPolicy
    refund_policy: RefundPolicy = refund_policy()
    late_policy: LatePolicy = LatePolicy.REFUND
    resumed: bool = False


@workflow.defn
class PaymentWorkflow:
    """Record, submit, wait for the provider's word, finalise, tell the merchant.

    Handlers only change state; `run` does the work. The payment in `_state` is what we
    believe, the row in our books is what counts.
    """

    @workflow.init
    def __init__(self, order: PaymentOrder) -> None:
        self._policy = order.policy
        self._state = PaymentState(order.payment)
        self._provider = Conversation(self._state, order.policy)
        self._sync = Sync(self._state, self._provider)
        self._refund_policy = order.refund_policy
        self._late_policy = order.late_policy
        self._request_hash = order.payment.request_hash
        self._calls = Calls(order.policy)
        self._flag = PaymentFlag(self._state, order.policy, self._calls)
        self._review = Review(self._state, self._provider, self._flag, self._show)
        self._refused: ApplicationError | None = None
        self._announced = False
        self._resumed = order.resumed

    @workflow.run
    async def run(self, order: PaymentOrder) -> Payment:
        """The payment as it ended. Fails only where nothing was recorded and nothing sent."""
        story = asyncio.create_task(self._story())
        try:
            return await asyncio.shield(story)
        except asyncio.CancelledError:
            # A run cancelled in the Temporal UI must not leave a payable order behind.
            self._state.cancelled = True
            return await story

    async def _story(self) -> Payment:
        placed = await self._place()
        if self._state.pending:
            if self._resumed:
                hold = self._state.payment.needs_decision and workflow.patched(KEEPS_DECISION)
                self._state.resume(hold=hold)
            else:
                await self._submit(placed)
            self._announce()
        # Where an earlier try of this task wrote the end and died, the merchant is still to be
        # told of it: finalising again changes nothing and says which event that is.
        while not self._state.final:
            await self._await_outcome()
            await self._finalise()
            self._announce()
        after = AfterTheEnd(self._state, self._provider, self._calls, self._flag)
        await after.settle(self._refund_policy, self._late_policy)
        self._show("Done")
        return self._state.payment

    # What is asked of the payment

    @workflow.update(description="Waits until the provider has answered the submission")
    async def checkout(self, request_hash: str) -> Payment:
        """The payment with its checkout, or as it ended where it ended at once."""
        await workflow.wait_condition(lambda: self._refused is not None or self._state.answerable)
        if self._refused is not None:
            raise self._refused
        return self._state.payment

    @checkout.validator
    def _same_request(self, request_hash: str) -> None:
        if request_hash != self._request_hash:
            _refuse("idempotency_key_reused", KEY_REUSED)

    @workflow.signal(description="A provider's notification, verified by the API")
    def notify(self, notification: Notification) -> None:
        """Hear the provider's word; a repeat changes nothing."""
        if notification.payment is not None:
            hear = self._state.hear_claim if self._policy.confirm else self._state.hear
            hear(notification.payment)

    @workflow.update(description="Ask the provider now")
    async def sync(self) -> SyncedPayment:
        """Return the payment after a query at the provider; raises as `Sync.query` does."""
        return await self._sync.query()

    @sync.validator
    def _not_in_progress(self) -> None:
        _refuse(IN_PROGRESS, self._sync.refusal())

    @workflow.update(description="Close the order: 'who and why'")
    async def cancel(self, reason: str) -> Payment:
        """The payment once it is closed, or as it ended instead: it may have been paid already."""
        self._state.cancelled = True
        await workflow.wait_condition(lambda: self._state.final or self._state.in_review)
        return self._state.payment

    @cancel.validator
    def _cancellable(self, reason: str) -> None:
        _refuse("not_cancellable", self._state.refuses_cancel())

    @workflow.update(description='{"action": "accept|refund|close|ask_again", "note": "who, why"}')
    async def resolve(self, resolution: Resolution) -> Payment:
        """A person's decision, where the provider's word does not fit the payment."""
        self._state.resolution = resolution
        await workflow.wait_condition(
            lambda: self._state.resolution is None and (self._state.final or self._state.pending)
        )
        return self._state.payment

    @resolve.validator
    def _resolvable(self, resolution: Resolution) -> None:
        _refuse("not_resolvable", self._state.refuses_resolution(resolution))
        if resolution.action is ResolveAction.REFUND and not self._policy.refundable:
            _refuse("not_resolvable", "Only the provider itself refunds this: accept or close.")

    # What happens, in order

    async def _place(self) -> Placed:
        self._show("Placing the order")
        try:
            placed = await place_the_order(self._policy, self._state.payment, resumed=self._resumed)
        except FailureError as error:
            self._refused = refusal(error) or ApplicationError(str(error))
            announce(self._state.payment.id, self._refused)
            await workflow.wait_condition(workflow.all_handlers_finished)
            raise
        self._state.place(placed.payment)
        # Runs of an older way forgot it, and their histories say so.
        if self._policy.fast_path:
            self._state.keep_paid()
        return placed

    async def _submit(self, placed: Placed) -> None:
        self._show("Submitting the order")
        answer = await self._provider.submit(placed)
        if isinstance(answer, Created):
            self._state.take(answer)
        elif answer is not None:
            self._state.fail(answer)
        self._state.answered = True

    def _announce(self) -> None:
        if self._state.answerable:
            self._announced = True
            announce(self._state.payment.id, self._state.payment)

    async def _await_outcome(self) -> None:
        while self._state.pending:
            if self._state.resolution is not None:
                self._decide(self._state.resolution)
            elif self._state.disputed is not None:
                await self._review.settle_dispute(self._state.disputed)
            elif self._state.to_confirm:
                await self._confirm()
            elif self._state.held is not None:
                await self._review.review_held(self._state.held)
            elif self._state.cancelled or workflow.now() >= self._state.payment.expires_at:
                await self._close()
            elif not self._state.silent:
                await self._wait_for_word()
            else:
                self._show("Asking the provider")
                await self._provider.poll()

    def _decide(self, resolution: Resolution) -> None:
        if workflow.patched("decide-on-what-was-seen") and self._state.drop_overtaken(resolution):
            return
        # Also where a lost task has closed the payment: then the money is late.
        if resolution.action is ResolveAction.REFUND:
            self._late_policy = LatePolicy.REFUND
        elif resolution.action is ResolveAction.ACCEPT:
            self._late_policy = LatePolicy.ACCEPT
        self._state.resolve(resolution)

    async def _wait_for_word(self) -> None:
        self._show("Waiting for the payer")
        within = min(self._policy.grace, seconds_until(self._state.payment.expires_at))
        self._state.silent = not await happens(
            lambda: self._state.moved, within, "silence before the provider is asked"
        )

    async def _confirm(self) -> None:
        """The provider's rule: a notification is proof once a query says the same."""
        self._show("Asking whether the notification holds")
        self._state.to_confirm = False
        # Whatever is not settled now is asked for by the polling.
        self._state.silent = True
        with suppress(FailureError):
            self._state.hear(await self._provider.confirm())

    async def _close(self) -> None:
        """End the order at the provider. Paid after all? Then that is what happened."""
        self._show("Closing the order at the provider")
        if await self._provider.close():
            return
        await self._flag.up(Attention.OUTCOME_UNKNOWN)
        await happens(
            lambda: self._state.decided, self._policy.alarm_after, "the provider does not answer"
        )

    async def _finalise(self) -> None:
        self._show("Writing the end down")
        try:
            ended = await write_the_end(
                self._policy,
                self._state.ended(),
                awaited=not self._announced,
                flagged=self._flag.raised,
            )
        except FailureError:
            await self._review.park()
            return
        self._state.finalise(ended.settled.payment)
        await self._flag.down()
        self._mark_end()
        await refund_duplicate_and_notify(
            self._calls, self._refund_policy, ended.settled, ended.tried
        )
        self._calls.notify(ended.settled.moved_event_id, *ended.settled.refund_event_ids)

    def _mark_end(self) -> None:
        self._show("Telling the merchant")
        workflow.upsert_search_attributes(
            [
                search_attributes.STATUS.value_set(self._state.payment.status),
                search_attributes.attention_update(self._state.payment.attention),
            ]
        )

    def _show(self, headline: str) -> None:
        workflow.set_current_details(details.payment_now(self._state.payment, headline))


def _refuse(code: str, why: str | None) -> None:
    if why is not None:
        raise ApplicationError(why, type=code, non_retryable=True)
