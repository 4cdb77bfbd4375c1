"""The calls to providers. Every one is safe to repeat with the same ids.

A submit after an unknown outcome queries before it sends, and a rejection is believed only after
a query: the attempt before may have been executed and its answer lost.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

from temporalio import activity

from activities.bulkhead import Bulkhead
from activities.errors import still_pending, translated
from domain.alarm import Alarm, AlarmKind
from domain.checkout import Checkout, CheckoutKind, Created
from domain.errors import ProviderBlocked, ProviderError, ProviderRejected
from domain.frozen import Frozen
from domain.own_refunds import is_cancelled
from domain.payment import Channel, Payment
from domain.refund import Refund
from domain.report import Attention, Outcome, PaymentReport, RefundOutcome, RefundReport
from providers.base import Provider, refundable
from providers.registry import Registry
from storage.alarms import AlarmStore
from storage.payments import PaymentStore

# Within workflow tasks: what comes on top waits in the provider's own queue, apart from the others.
MOST_AT_ONCE = 16
# Until an operator has topped up the balance or mended the account, the same refund is sent again.
BLOCKED_FOR = timedelta(minutes=5)

_NOTHING_TO_DO = Checkout(kind=CheckoutKind.NONE)
_NOTHING_THERE = (Outcome.PENDING, Outcome.NOT_FOUND)


class Submission(Frozen):
    """A payment to submit; `ask_first` where an earlier try may have reached the provider."""

    payment: Payment
    ask_first: bool = False


class Closing(Frozen):
    """A payment to close; until `doubtful_until` a submission may still reach the provider."""

    payment: Payment
    doubtful_until: datetime | None = None


class Closed(Frozen):
    """What the provider says after the close.

    `unknown_there`: it never saw the order, so what the payer holds may be payable until it
    expires.
    """

    report: PaymentReport
    unknown_there: bool = False


class RefundSubmission(Frozen):
    """A refund to submit; `ask_first` as for a payment."""

    refund: Refund
    payment: Payment
    ask_first: bool = False


class ProviderActivities:
    """Talks to providers; writes only the checkout, and an alarm where an account is refused."""

    def __init__(self, registry: Registry, payments: PaymentStore, alarms: AlarmStore) -> None:
        self._registry = registry
        self._payments = payments
        self._alarms = alarms
        self._within_tasks = Bulkhead(MOST_AT_ONCE)

    @activity.defn
    @translated
    async def create_checkout(self, submission: Submission) -> Created:
        """Submit the order and keep what the payer needs next."""
        payment = submission.payment
        with self._line(payment) as provider:
            created = None
            if submission.ask_first or activity.info().attempt > 1:
                created = _known(
                    await self._ask(provider, payment), Outcome.PENDING, Outcome.NOT_FOUND
                )
            if created is None:
                created = await self._submit(provider, payment)
        if created.checkout.kind is CheckoutKind.NONE:
            created = await self._with_kept_checkout(payment, created)
        await self._payments.save_checkout(payment.id, created)
        return created

    @activity.defn
    @translated
    async def query_payment(self, payment: Payment) -> PaymentReport:
        """What the provider says now."""
        with self._line(payment) as provider:
            return await self._ask(provider, payment)

    @activity.defn
    @translated
    async def poll_payment(self, payment: Payment) -> PaymentReport:
        """Query until the provider's report is final: the retry policy is the poll schedule."""
        report = await self._ask(self._of(payment), payment)
        if report.outcome in _NOTHING_THERE:
            raise still_pending(f"the provider says {report.raw_status}")
        return report

    @activity.defn
    @translated
    async def close_payment(self, closing: Closing) -> Closed:
        """Close the order at the provider, then query once more: it may have been paid meanwhile.

        An order that the provider does not know counts as closed, but only once no submission of
        ours can still be on its way there.
        """
        payment = closing.payment
        provider = self._of(payment)
        try:
            closed = await provider.close(payment)
        except ProviderRejected as rejection:
            raise still_pending(f"the provider will not close yet: {rejection}") from rejection
        if closed.outcome in (Outcome.PAID, Outcome.FAILED) or is_cancelled(payment, closed):
            return Closed(report=closed)
        found = await self._ask(provider, payment)
        ended = closed.outcome is Outcome.CLOSED
        if ended and found.outcome is Outcome.PAID and payment.channel is Channel.BARCODE:
            # What ends an in-store order refunds it: the query lags behind that.
            raise still_pending(f"cancelled, and the provider still says {found.raw_status}")
        if found.outcome is Outcome.PENDING and not ended:
            raise still_pending(f"the provider still says {found.raw_status}")
        if found.outcome is Outcome.NOT_FOUND and not ended:
            _wait_for_submissions(closing.doubtful_until)
            return Closed(report=_as_closed(found), unknown_there=True)
        return Closed(report=_as_closed(found) if found.outcome in _NOTHING_THERE else found)

    @activity.defn
    @translated
    async def submit_refund(self, submission: RefundSubmission) -> RefundReport:
        """Ask the provider to give the money back."""
        with self._line(submission.payment) as provider:
            if submission.ask_first or activity.info().attempt > 1:
                found = await _ask_about_refund(provider, submission)
                if found.outcome is not RefundOutcome.NOT_FOUND:
                    return found
            return await self._refund(provider, submission)

    @activity.defn
    @translated
    async def query_refund(self, submission: RefundSubmission) -> RefundReport:
        """What the provider says now of the refund."""
        provider = refundable(self._of(submission.payment))
        return await provider.query_refund(submission.refund, submission.payment)

    @activity.defn
    @translated
    async def poll_refund(self, submission: RefundSubmission) -> RefundReport:
        """Query until the provider's report on the refund needs an action of ours."""
        provider = self._of(submission.payment)
        report = await _ask_about_refund(provider, submission)
        if report.outcome is RefundOutcome.NOT_FOUND:
            # Accepted once and gone now: the same number may be sent again, it is one refund.
            report = await self._refund(provider, submission)
        if report.outcome in (RefundOutcome.PENDING, RefundOutcome.NOT_FOUND):
            raise still_pending(f"the provider says {report.raw_status}")
        flagged = submission.refund.attention is Attention.REFUND_ABNORMAL
        if report.outcome is RefundOutcome.ABNORMAL and flagged:
            raise still_pending(f"the provider still says {report.raw_status}")
        return report

    async def _ask(self, provider: Provider, payment: Payment) -> PaymentReport:
        """A rejected query says nothing about the money: it is repeated."""
        try:
            return await provider.query(payment)
        except ProviderRejected as rejection:
            if isinstance(rejection, ProviderBlocked):
                await self._raise_alarm(payment, rejection)
            raise still_pending(f"the provider refuses to say: {rejection}") from rejection

    async def _submit(self, provider: Provider, payment: Payment) -> Created:
        try:
            return await _submit(provider, payment)
        except ProviderBlocked as blocked:
            await self._raise_alarm(payment, blocked)
            # The payer cannot wait for an operator.
            raise blocked.as_rejected() from None

    async def _refund(self, provider: Provider, submission: RefundSubmission) -> RefundReport:
        """Send the refund; a rejection counts only where the provider does not know the refund."""
        try:
            return await refundable(provider).refund(submission.refund, submission.payment)
        except ProviderRejected as rejection:
            if isinstance(rejection, ProviderBlocked):
                return await self._blocked(provider, submission, rejection)
            found = await refundable(provider).query_refund(submission.refund, submission.payment)
            if found.outcome is RefundOutcome.NOT_FOUND:
                raise
            return found

    async def _blocked(
        self, provider: Provider, submission: RefundSubmission, blocked: ProviderBlocked
    ) -> RefundReport:
        """The refund as the provider knows it all the same; else raise that it is blocked.

        Also where it does not say, refusing the query as it refused the refund: nothing ends here.
        """
        await self._raise_alarm(submission.payment, blocked)
        with suppress(ProviderError):
            found = await refundable(provider).query_refund(submission.refund, submission.payment)
            if found.outcome is not RefundOutcome.NOT_FOUND:
                return found
        if submission.refund.attention is not Attention.REFUND_BLOCKED:
            raise blocked
        after = BLOCKED_FOR
        if blocked.retry_after is not None:
            after = timedelta(seconds=blocked.retry_after)
        raise still_pending(f"still refused: {blocked}", after=after)

    async def _raise_alarm(self, payment: Payment, blocked: ProviderBlocked) -> None:
        alarm = Alarm(
            kind=AlarmKind.ACCOUNT_BLOCKED,
            subject=f"{payment.provider}/{payment.account}",
            detail=blocked.message,
        )
        await self._alarms.raise_alarm(alarm)

    async def _with_kept_checkout(self, payment: Payment, created: Created) -> Created:
        """Some providers say only once what the payer needs: what an earlier try kept stays."""
        stored = await self._payments.get(payment.id)
        if stored is None or stored.checkout is None:
            return created
        return created.model_copy(update={"checkout": stored.checkout})

    @contextmanager
    def _line(self, payment: Payment) -> Iterator[Provider]:
        """The payment's provider; `still_pending` where a workflow task must not wait for it."""
        provider = self._of(payment)
        if not activity.info().is_local:
            yield provider
            return
        with self._within_tasks.place(payment.provider):
            yield provider

    def _of(self, payment: Payment) -> Provider:
        return self._registry.get(payment.provider, payment.account)


def _wait_for_submissions(until: datetime | None) -> None:
    now = datetime.now(UTC)
    if until is not None and now < until:
        raise still_pending("a submission may still be on its way", after=until - now)


def _as_closed(report: PaymentReport) -> PaymentReport:
    return report.model_copy(update={"outcome": Outcome.CLOSED})


async def _submit(provider: Provider, payment: Payment) -> Created:
    try:
        return await provider.create(payment)
    except ProviderRejected as rejection:
        known = await _after_rejection(provider, payment, rejection)
        if known is None:
            raise
        return known


async def _after_rejection(
    provider: Provider, payment: Payment, rejection: ProviderRejected
) -> Created | None:
    try:
        report = await provider.query(payment)
    except ProviderRejected as refused:
        if refused.provider_code != rejection.provider_code:
            raise still_pending(f"the provider refuses to say: {refused}") from refused
        # The question is refused as the order was, for who we are (a wrong app id, a revoked
        # key): the no stands.
        raise rejection from None
    return _known(report, Outcome.NOT_FOUND, Outcome.FAILED, Outcome.CLOSED)


def _known(report: PaymentReport, *unsubmitted: Outcome) -> Created | None:
    """The order as the provider already has it, or None where it must (still) be submitted."""
    if report.outcome in unsubmitted:
        return None
    return Created(
        checkout=_NOTHING_TO_DO, report=report, provider_reference=report.provider_reference
    )


async def _ask_about_refund(provider: Provider, submission: RefundSubmission) -> RefundReport:
    try:
        return await refundable(provider).query_refund(submission.refund, submission.payment)
    except ProviderRejected as rejection:
        raise still_pending(f"the provider refuses to say: {rejection}") from rejection
