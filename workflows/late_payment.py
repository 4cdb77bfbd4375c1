"""A notification for a payment whose run has ended: find the truth, then put the books right."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import FailureError

from activities.payments import Flag, PaymentActivities
from activities.provider_calls import ProviderActivities
from domain.decided import is_decided
from domain.frozen import Frozen
from domain.merchant import LatePolicy
from domain.notification import Notification
from domain.own_refunds import is_cancelled, refunded_without_cancel, unaccounted
from domain.payment import Payment, PaymentStatus
from domain.report import Attention, Outcome, PaymentReport, RefundReport
from workflows import details, search_attributes
from workflows.attention import Calls
from workflows.failures import refusal
from workflows.giving_back import refund_duplicate_and_notify
from workflows.late_money import settle_late_money
from workflows.policies import PaymentPolicy, RefundPolicy, provider_queue, refund_policy
from workflows.refund_confirmation import attention_for
from workflows.reported_refunds import record_external_refund, refunded_subject
from workflows.steps import WEIGHED, in_our_books, tell_merchant


class LateOrder(Frozen):
    """What a late-payment workflow is started with; always together with a `notify` signal."""

    payment: Payment
    policy: PaymentPolicy
    refund_policy: RefundPolicy = refund_policy()
    late_policy: LatePolicy = LatePolicy.REFUND


@workflow.defn
class LatePaymentWorkflow:
    """Ask the provider for the truth, fold duplicates in, settle what the books do not know."""

    @workflow.init
    def __init__(self, order: LateOrder) -> None:
        self._order = order
        self._policy = order.policy
        self._payment = order.payment
        self._calls = Calls(order.policy)
        self._inbox: list[Notification] = []
        self._ended = False
        self._flagged: list[tuple[Attention, str | None]] = []

    @workflow.run
    async def run(self, order: LateOrder) -> Payment:
        """The payment as it stands after every notification received was dealt with."""
        story = asyncio.create_task(self._story())
        try:
            return await asyncio.shield(story)
        except asyncio.CancelledError:
            # The provider was told that its word is taken: cancelling must not lose it.
            return await story

    async def _story(self) -> Payment:
        while self._inbox or not self._calls.done:
            await workflow.wait_condition(lambda: bool(self._inbox) or self._calls.done)
            batch, self._inbox = self._inbox, []
            claims: list[RefundReport] = []
            for notification in batch:
                refund = notification.refund
                if refund is not None and notification.needs_confirmation and not refund.mismatch:
                    claims.append(refund)
                elif refund is not None and not await self._record(refund):
                    why = notification.mismatch or Attention.EXTERNAL_REFUND
                    await self._flag(why, refund.refund_reference)
            reports = [notification.payment for notification in batch if notification.payment]
            if reports:
                await self._find_the_truth(reports)
            # After the money that came late: it does not wait for these queries.
            for claim in claims:
                await self._confirm_refund(claim)
        await self._calls.answered()
        self._show("Done")
        return self._payment

    @workflow.signal(description="A provider's notification, verified by the API")
    def notify(self, notification: Notification) -> None:
        """Keep the provider's word; repeats are answered together."""
        self._inbox.append(notification)

    async def _record(self, report: RefundReport) -> bool:
        """Record what went back at the provider's console, where the notification says it all."""
        if not workflow.patched("a refund made without us is recorded"):  # untraced: test_replay
            return False
        event_id = await record_external_refund(self._policy, self._payment, report)
        if event_id is not None:
            self._calls.beside(tell_merchant(self._policy, event_id))
        return event_id is not None

    async def _confirm_refund(self, claim: RefundReport) -> None:
        self._show("Querying whether a refund's notification holds")
        why = await attention_for(self._policy, self._payment, claim)
        if why is not None:
            await self._flag(why, claim.refund_reference)

    async def _find_the_truth(self, heard: list[PaymentReport]) -> None:
        self._show("Asking the provider for the truth")
        report = await self._ask()
        if any(self._is_good_money(word) for word in heard):
            report = await self._ask_until_confirmed(report)
        self._payment = await in_our_books(
            self._policy, PaymentActivities.load_payment, self._payment.id, "what our books say"
        )
        mismatch = self._payment.mismatch(report)
        if mismatch is not None:
            if not is_decided(self._payment, report, mismatch):
                await self._flag(mismatch)
            return
        if any(map(_names_another_order, heard)) and workflow.patched(WEIGHED):
            # A query by our own number cannot see what another number was paid for.
            await self._flag(Attention.REFERENCE_MISMATCH)
        before = self._payment
        self._payment = before.apply(report)
        await self._compare_refunds(before, (*heard, report))
        try:
            if before.status is PaymentStatus.PENDING and self._payment is not before:
                await self._finalise()
            elif self._payment.late and self._payment.status is not PaymentStatus.SUCCEEDED:
                await self._settle_late_money()
            elif before.status is not self._order.payment.status and not self._ended:
                # A lost task of this run wrote the end and died before it told.
                await self._finalise()
        except FailureError:
            # Our books refuse it: another payment holds the same provider's number.
            await self._flag(Attention.CONTRADICTION)

    async def _compare_refunds(self, stored: Payment, reports: tuple[PaymentReport, ...]) -> None:
        """Flag what the provider has refunded without us, by whichever report says most.

        A query, the last of the reports, may say nothing of refunds: it never takes back what a
        notification has said.
        """
        refunded = max(refunded_without_cancel(stored, report) for report in reports)
        by_query = refunded_without_cancel(stored, reports[-1])
        external = unaccounted(stored, refunded)
        if external and (refunded == by_query or workflow.patched(WEIGHED)):
            await self._flag(Attention.EXTERNAL_REFUND, refunded_subject(refunded), refunded)

    async def _settle_late_money(self) -> None:
        self._show("Money came late")
        self._ended = True
        self._payment = await settle_late_money(
            self._calls, self._order.refund_policy, self._payment, self._order.late_policy
        )

    def _is_good_money(self, word: PaymentReport) -> bool:
        return word.outcome is Outcome.PAID and self._payment.mismatch(word) is None

    async def _ask_until_confirmed(self, report: PaymentReport) -> PaymentReport:
        """The provider signed that it was paid: a query that knows nothing of it may lag behind."""
        for wait in self._policy.confirmation_waits:
            if self._confirms(report):
                return report
            await workflow.sleep(wait)
            report = await self._ask()
        if not self._confirms(report):
            await self._flag(Attention.CONTRADICTION)
        return report

    def _confirms(self, report: PaymentReport) -> bool:
        """Whether the payer had paid, if only until our own cancel gave it back."""
        if is_cancelled(self._payment, report):
            return workflow.patched(WEIGHED)
        return report.outcome is Outcome.PAID

    async def _ask(self) -> PaymentReport:
        """The provider's word, asked for until it answers; a person is called meanwhile."""
        called = False
        while True:
            try:
                report = await self._ask_once()
            except FailureError as error:
                if not called:
                    await self._flag(Attention.OUTCOME_UNKNOWN)
                called = True
                if refusal(error):
                    # A key revoked, an account gone missing: until a person has mended it.
                    await workflow.sleep(self._policy.alarm_after)  # untraced: test_late_asking
                continue
            if called:
                await self._unflag(Attention.OUTCOME_UNKNOWN)
            return report

    async def _ask_once(self) -> PaymentReport:
        return await workflow.execute_activity_method(
            ProviderActivities.query_payment,
            self._payment,
            **self._policy.call_slow.activity(
                "ask the provider for the truth",
                queue=provider_queue(self._payment.provider),
                total=self._policy.alarm_after,
            ),
        )

    async def _unflag(self, why: Attention) -> None:
        """Take the flag down; what else this run called a person for stands again."""
        flag = Flag(payment_id=self._payment.id, attention=why, detail="the provider has answered")
        await in_our_books(self._policy, PaymentActivities.clear_flag, flag, "clear the flag")
        workflow.upsert_search_attributes([search_attributes.attention_update(None)])
        self._flagged.remove((why, None))
        for standing in self._flagged[-1:]:
            await self._call(*standing)

    async def _finalise(self) -> None:
        """The payment's own run was gone before it could write its end down."""
        settled = await in_our_books(
            self._policy, PaymentActivities.finalise_payment, self._payment, "write the end down"
        )
        self._ended = True
        self._payment = settled.payment
        await refund_duplicate_and_notify(self._calls, self._order.refund_policy, settled)
        self._calls.notify(settled.moved_event_id, *settled.refund_event_ids)

    async def _flag(
        self, why: Attention, subject: str | None = None, refunded: int | None = None
    ) -> None:
        """Call a person, once per reason and subject (the number of a refund)."""
        if (why, subject) in self._flagged:
            return
        self._flagged.append((why, subject))
        await self._call(why, subject, refunded)

    async def _call(self, why: Attention, subject: str | None, refunded: int | None = None) -> None:
        self._payment = self._payment.model_copy(update={"attention": why})
        detail = f"after the end: {why}" + (f" ({subject})" if subject else "")
        await self._calls.about_payment(
            self._payment.id, why, detail, subject=subject, refunded=refunded
        )

    def _show(self, headline: str) -> None:
        workflow.set_current_details(details.payment_now(self._payment, headline))


def _names_another_order(report: PaymentReport) -> bool:
    return report.mismatch is Attention.REFERENCE_MISMATCH
