"""One refund, from the money set aside to the provider's word that it was given back."""

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from activities.provider_calls import ProviderActivities, RefundSubmission
from activities.refunds import RefundActivities
from domain.frozen import Frozen
from domain.notification import Notification
from domain.payment import Failure, Payment
from domain.refund import Refund, RefundCause, RefundStatus
from domain.report import Attention, RefundReport
from domain.resolution import Resolution, ResolveAction
from workflows import details, search_attributes
from workflows.attention import Calls
from workflows.failures import failure_of, refusal, rejection
from workflows.policies import RefundPolicy, provider_queue
from workflows.steps import happens, in_our_books, tell_merchant


class RefundOrder(Frozen):
    """What a refund workflow is started with."""

    refund: Refund
    payment: Payment
    policy: RefundPolicy


@workflow.defn
class RefundWorkflow:
    """Reserve, submit, wait for the provider's word, settle, tell the merchant."""

    @workflow.init
    def __init__(self, order: RefundOrder) -> None:
        self._refund = order.refund
        self._order = order
        self._policy = order.policy
        self._queue = provider_queue(order.refund.provider)
        self._calls = Calls(order.policy)
        self._doubt: Attention | None = None
        self._resolution: Resolution | None = None
        self._refused: ApplicationError | None = None
        self._submitted = False
        self._settled = False

    @workflow.run
    async def run(self, order: RefundOrder) -> Refund:
        """The refund as it ended. Fails only where nothing was reserved and nothing sent."""
        await self._reserve()
        if self._refund.status is RefundStatus.PENDING:
            await self._submit()
            await self._await_word()
            await self._settle()
        await self._calls.answered()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._refund

    @workflow.update(description="Waits until the provider has answered the submission")
    async def submitted(self, request_hash: str) -> Refund:
        """The refund once the provider has taken it, or its final state."""
        await workflow.wait_condition(lambda: self._refused is not None or self._answerable())
        if self._refused is not None:
            raise self._refused
        return self._refund

    @submitted.validator
    def _same_request(self, request_hash: str) -> None:
        if request_hash != self._order.refund.request_hash:
            raise ApplicationError(
                "This Idempotency-Key was used with another request. Use a new key.",
                type="idempotency_key_reused",
                non_retryable=True,
            )

    @workflow.update(description="Ask the provider now")
    async def sync(self) -> Refund:
        """The refund after asking the provider."""
        if self._refund.status is RefundStatus.PENDING:
            report = await workflow.execute_activity_method(
                ProviderActivities.query_refund,
                self._submission(),
                **self._policy.call_slow.activity(
                    "ask the provider (operator)", queue=self._queue, total=30
                ),
            )
            self._hear(report)
            await workflow.wait_condition(lambda: self._settled or self._pending())
        return self._refund

    @workflow.update(description='{"action": "accept|close|ask_again", "note": "who and why"}')
    async def resolve(self, resolution: Resolution) -> Refund:
        """A person's decision, where the provider's word does not settle it."""
        self._resolution = resolution
        await workflow.wait_condition(
            lambda: self._resolution is None and (self._settled or self._pending())
        )
        return self._refund

    @resolve.validator
    def _resolvable(self, resolution: Resolution) -> None:
        if not self._pending() or self._refund.attention is None:
            raise ApplicationError(
                "Nothing to resolve: the refund needs no person.",
                type="not_resolvable",
                non_retryable=True,
            )
        if resolution.action is ResolveAction.REFUND:
            raise ApplicationError(
                "A refund can be accepted, closed or asked again.",
                type="invalid_request",
                non_retryable=True,
            )

    @workflow.signal(description="A provider's notification, verified by the API")
    def notify(self, notification: Notification) -> None:
        """Hear the provider's word; a repeat changes nothing."""
        if notification.refund is not None:
            self._hear(notification.refund)

    async def _reserve(self) -> None:
        self._show("Setting the money aside")
        try:
            self._refund = await in_our_books(
                self._policy, RefundActivities.reserve_refund, self._refund, "set the money aside"
            )
        except FailureError as error:
            self._refused = refusal(error)
            await workflow.wait_condition(workflow.all_handlers_finished)
            raise
        self._settled = self._refund.status is not RefundStatus.PENDING

    async def _submit(self) -> None:
        self._show("Asking the provider to give the money back")
        try:
            report = await self._send()
        except FailureError as error:
            rejected = rejection(error)
            if rejected is None:
                self._doubt = Attention.OUTCOME_UNKNOWN
            else:
                self._fail(failure_of(rejected))
        else:
            self._hear(report)
        self._submitted = True

    async def _send(self) -> RefundReport:
        try:
            return await workflow.execute_local_activity_method(
                ProviderActivities.submit_refund,
                self._submission(),
                **self._policy.call_fast.local("submit the refund"),
            )
        except FailureError as error:
            if rejection(error):
                raise
        return await workflow.execute_activity_method(
            ProviderActivities.submit_refund,
            self._submission().model_copy(update={"ask_first": True}),
            **self._policy.call_slow.activity("submit the refund, asking first", queue=self._queue),
        )

    async def _await_word(self) -> None:
        self._show("Waiting for the provider's word")
        await happens(self._moved, self._policy.grace, "silence before the provider is asked")
        while self._pending():
            if self._resolution is not None:
                self._apply(self._resolution)
            elif self._doubt is not None:
                await self._call_a_person(self._doubt)
            else:
                await self._poll()

    async def _poll(self) -> None:
        asking = workflow.start_activity_method(
            ProviderActivities.poll_refund,
            self._submission(),
            **self._policy.poll.activity("ask until the refund is final", queue=self._queue),
        )
        await workflow.wait_condition(lambda: self._moved() or asking.done())
        if not asking.done():
            asking.cancel()
            return
        try:
            self._hear(asking.result())
        except FailureError as error:
            self._doubt = Attention.OUTCOME_UNKNOWN
            workflow.logger.warning("polling the refund ended: %s", error)

    async def _call_a_person(self, why: Attention) -> None:
        """Flag the refund and wait until a person or the provider settles it."""
        self._doubt = None
        self._refund = self._refund.model_copy(update={"attention": why})
        self._show("Flagged for a person")
        await self._calls.about_refund(self._refund.id, why, str(why))
        if why is Attention.REFUND_ABNORMAL:
            return  # the provider settles it once the merchant has acted there: keep asking
        self._show("A person must decide")
        await workflow.wait_condition(lambda: self._resolution is not None or not self._pending())

    def _apply(self, decision: Resolution) -> None:
        self._resolution = self._doubt = None
        update: dict[str, object] = {"attention": None}
        if decision.action is ResolveAction.ACCEPT:
            update |= {"status": RefundStatus.SUCCEEDED, "raw_status": "accepted by an operator"}
        if decision.action is ResolveAction.CLOSE:
            update |= {
                "status": RefundStatus.FAILED,
                "failure": Failure(code="closed_by_operator", message=decision.note),
            }
        self._refund = self._refund.model_copy(update=update)

    async def _settle(self) -> None:
        settled = await in_our_books(
            self._policy, RefundActivities.settle_refund, self._refund, "settle the refund"
        )
        self._refund = settled.refund
        self._resolution = None
        self._settled = True
        self._show("Settled")
        workflow.upsert_search_attributes(
            [
                search_attributes.STATUS.value_set(self._refund.status),
                search_attributes.attention_update(self._refund.attention),
            ]
        )
        if self._refund.status is RefundStatus.FAILED:
            await self._own_promise_broken()
        await tell_merchant(self._policy, settled.event_id)

    async def _own_promise_broken(self) -> None:
        """A refund that we owe (late, duplicate, veto) failed: the money is still here."""
        if self._refund.cause is RefundCause.REQUESTED:
            return
        await self._calls.about_payment(
            self._refund.payment_id,
            Attention.REFUND_FAILED,
            f"the refund for {self._refund.cause} failed",
        )

    def _hear(self, report: RefundReport) -> None:
        mismatch = self._refund.mismatch(report)
        if mismatch is not None:
            self._doubt = mismatch
            return
        before = self._refund.attention
        self._refund = self._refund.apply(report)
        if self._refund.attention is Attention.REFUND_ABNORMAL and before is None:
            self._doubt = Attention.REFUND_ABNORMAL

    def _fail(self, failure: Failure) -> None:
        """The provider's definite no, unless its notification has said otherwise before."""
        if self._pending():
            self._refund = self._refund.model_copy(
                update={"status": RefundStatus.FAILED, "failure": failure}
            )

    def _submission(self) -> RefundSubmission:
        return RefundSubmission(refund=self._refund, payment=self._order.payment)

    def _pending(self) -> bool:
        return self._refund.status is RefundStatus.PENDING

    def _moved(self) -> bool:
        return not self._pending() or self._doubt is not None or self._resolution is not None

    def _answerable(self) -> bool:
        return self._settled or (self._submitted and self._pending())

    def _show(self, headline: str) -> None:
        workflow.set_current_details(details.refund_now(self._refund, headline))
