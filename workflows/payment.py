"""One payment, from the order written down to the merchant told."""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from activities.fast_path import Placed
from domain.checkout import Created
from domain.errors import KEY_REUSED
from domain.frozen import Frozen
from domain.merchant import LatePolicy
from domain.notification import Notification
from domain.payment import Payment
from domain.report import Attention, PaymentReport
from domain.resolution import Resolution, ResolveAction
from workflows import operator_view
from workflows.announcing import announce
from workflows.attention import Calls, PaymentFlag
from workflows.automatic_refund import refund_duplicate_and_notify, settle_late_money
from workflows.external_refund import flag_external_refunds
from workflows.failures import refusal
from workflows.fast_path import place_the_order, write_the_end
from workflows.next_step import (
    Close,
    CompareRefunds,
    Confirm,
    ConfirmLate,
    Deliver,
    DropLateMoney,
    Finalise,
    FlagLate,
    LateStep,
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
from workflows.policies import PaymentPolicy, RefundPolicy, refund_policy
from workflows.provider_calls import Conversation
from workflows.review import Review
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
        execution = asyncio.create_task(self._execution())
        try:
            return await asyncio.shield(execution)
        except asyncio.CancelledError:
            # A run cancelled in the Temporal UI must not leave a payable order behind.
            self._state.cancelled = True
            return await execution

    async def _execution(self) -> Payment:
        while not self._is_over():
            await self._execute(self._next_step())
        await self._calls.answered()
        self._show("Done")
        return self._state.payment

    def _next_step(self) -> PaymentStep:
        return self._state.next_step(workflow.now(), timedelta(seconds=self._policy.grace))

    def _is_over(self) -> bool:
        """Every event is delivered or given up, every handler done, and nothing came meanwhile."""
        is_idle = isinstance(self._next_step(), Deliver)
        return is_idle and self._calls.done and workflow.all_handlers_finished()

    async def _execute(self, step: PaymentStep) -> None:  # noqa: C901 - one case for each step
        match step:
            case Record():
                await self._record()
            case SubmitOrder():
                await self._submit(step.placed)
            case Resolve():
                self._resolve(step.resolution)
            case ReviewDispute():
                await self._review.settle_dispute(step.report)
            case Confirm():
                await self._confirm()
            case ReviewHeld():
                await self._review.review_held(step.why)
            case Close():
                await self._close()
            case Wait():
                await self._wait(step.until)
            case Poll():
                self._show("Querying the provider")
                await self._provider.poll()
            case Finalise():
                await self._finalise()
            case _:
                await self._execute_late(step)

    async def _execute_late(self, step: LateStep) -> None:
        match step:
            case WatchExpiry():
                self._state.watch()
                self._calls.start(self._watch_until_expiry())
            case ConfirmLate():
                await self._confirm_late()
            case DropLateMoney():
                self._state.drop_late_money()
            case SettleLateMoney():
                await self._settle_late_money()
            case CompareRefunds():
                await self._compare_refunds(step.refunded)
            case FlagLate():
                await self._flag_late(step.report)
            case _:  # Deliver
                await workflow.wait_condition(
                    lambda: self._is_over() or not isinstance(self._next_step(), Deliver)
                )

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
            apply = self._state.apply_claim if self._policy.confirm else self._state.apply_report
            apply(notification.payment)

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

    async def _record(self) -> None:
        """Store the order, and submit it in the same local activity where that goes fast."""
        self._show("Submitting the order")
        try:
            placed = await place_the_order(self._policy, self._state.payment, resumed=self._resumed)
        except FailureError as error:
            self._refused = refusal(error) or ApplicationError(str(error))
            announce(self._state.payment.id, self._refused)
            await workflow.wait_condition(workflow.all_handlers_finished)
            raise
        self._state.place(placed, keep_paid=self._policy.fast_path)
        if self._resumed and self._state.pending:
            self._state.resume()
            self._announce()

    async def _submit(self, placed: Placed) -> None:
        self._show("Submitting the order")
        answer = await self._provider.submit(placed)
        if isinstance(answer, Created):
            self._state.take(answer)
        elif answer is not None:
            self._state.fail(answer)
        self._state.answer()
        self._announce()

    def _announce(self) -> None:
        if self._state.answerable:
            self._announced = True
            announce(self._state.payment.id, self._state.payment)

    def _resolve(self, resolution: Resolution) -> None:
        if self._state.drop_overtaken(resolution):
            return
        # Also where a lost task has closed the payment: then the money is late.
        if resolution.action is ResolveAction.REFUND:
            self._late_policy = LatePolicy.REFUND
        elif resolution.action is ResolveAction.ACCEPT:
            self._late_policy = LatePolicy.ACCEPT
        self._state.resolve(resolution)

    async def _wait(self, until: datetime) -> None:
        self._show("Waiting for the payer")
        within = (until - workflow.now()).total_seconds()
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
            self._state.apply_report(await self._provider.confirm())

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
            self._announce()
            return
        self._state.finalise(ended.settled.payment)
        await self._flag.down()
        self._mark_end()
        await refund_duplicate_and_notify(
            self._calls, self._refund_policy, ended.settled, ended.tried
        )
        self._calls.notify(ended.settled.moved_event_id, *ended.settled.refund_event_ids)
        self._announce()

    def _mark_end(self) -> None:
        self._show("Telling the merchant")
        workflow.upsert_search_attributes(
            [
                operator_view.STATUS.value_set(self._state.payment.status),
                operator_view.attention_update(self._state.payment.attention),
            ]
        )

    # After the end, for as long as events are being delivered

    async def _watch_until_expiry(self) -> None:
        expires_at = self._state.payment.expires_at
        if workflow.now() >= expires_at or await happens(
            lambda: self._state.payment.late, seconds_until(expires_at), "until it cannot be paid"
        ):
            return
        try:
            self._state.apply_report(
                await self._provider.query_patiently("ask once more after the expiry")
            )
        except FailureError:
            if not self._state.payment.late:
                await self._flag.up(Attention.OUTCOME_UNKNOWN)

    async def _confirm_late(self) -> None:
        """Money claimed after the end by what is no proof: a query may lag behind it."""
        for wait in (0.0, *self._policy.confirmation_waits):
            if wait:
                await workflow.sleep(wait)
            self._state.to_confirm = False
            try:
                self._state.apply_report(
                    await self._provider.query_patiently("confirm the notification")
                )
            except FailureError:
                await self._flag.up(Attention.OUTCOME_UNKNOWN)
            if self._state.claimed is None:
                return
        self._state.claimed = None
        await self._flag.up(Attention.CONTRADICTION)

    async def _settle_late_money(self) -> None:
        try:
            settled = await settle_late_money(
                self._calls, self._refund_policy, self._state.payment, self._late_policy
            )
        except FailureError:
            self._state.refuse_late_money()
        else:
            self._state.settle_late_money(settled)

    async def _compare_refunds(self, refunded: int) -> None:
        self._state.compare(refunded)
        if await flag_external_refunds(self._calls, self._state.payment.id, refunded):
            self._state.flag(Attention.EXTERNAL_REFUND)

    async def _flag_late(self, report: PaymentReport) -> None:
        self._state.drop_dispute()
        if not self._state.payment.is_another_purchase(report):
            await self._flag.up(self._state.payment.mismatch(report) or Attention.CONTRADICTION)

    def _show(self, headline: str) -> None:
        workflow.set_current_details(operator_view.payment_now(self._state.payment, headline))


def _refuse(code: str, why: str | None) -> None:
    if why is not None:
        raise ApplicationError(why, type=code, non_retryable=True)
