"""Two steps of a payment as one, for each local activity has its price (ADR 15).

What the first of the two did counts, however the second ended.
"""

import asyncio
from typing import Self

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.errors import translated
from activities.payments import PaymentActivities, Settled
from activities.provider_calls import ProviderActivities, Submission
from activities.webhooks import Tried, WebhookActivities
from domain.checkout import Created
from domain.errors import ProviderRejected
from domain.frozen import Frozen
from domain.payment import Failure, Payment, PaymentStatus

# The order could not be written down, and so it was not sent.
NOT_SENT = "not_sent"


class Bounded(Frozen):
    """A payment, and the seconds that each half of a step may take.

    The second half has what the step still has where none are named.
    """

    payment: Payment
    first: float
    second: float | None = None


class Placed(Frozen):
    """The order in our books, and how its submission went.

    `maybe_sent` without an answer: the provider is asked before anything is sent again. `resumed`:
    another request had written the order down before.
    """

    payment: Payment
    resumed: bool
    maybe_sent: bool = False
    created: Created | None = None
    rejected: Failure | None = None

    @classmethod
    def of(cls, stored: Payment, ordered: Payment, *, maybe_sent: bool = False) -> Self:
        """Our books keep the time of the first request: another's is told by it."""
        resumed = stored.created_at != ordered.created_at
        return cls(payment=stored, resumed=resumed, maybe_sent=maybe_sent)


class Ended(Frozen):
    """The end in our books; `tried` is None where the merchant is to be told by a step apart."""

    settled: Settled
    tried: Tried | None = None


class FastPathActivities:
    """What a payment does while all goes well."""

    def __init__(
        self,
        payments: PaymentActivities,
        providers: ProviderActivities,
        webhooks: WebhookActivities,
    ) -> None:
        self._payments = payments
        self._providers = providers
        self._webhooks = webhooks

    @activity.defn
    @translated
    async def record_and_submit(self, order: Bounded) -> Placed:
        """Write the order down, then submit it. Raises Conflict, as `record_payment` does."""
        payment = order.payment
        try:
            async with asyncio.timeout(order.first):
                stored = await self._payments.record_payment(payment)
        except (ApplicationError, TimeoutError) as error:
            if isinstance(error, ApplicationError) and error.non_retryable:
                raise
            raise ApplicationError(f"not written down: {error}", type=NOT_SENT) from None
        placed = Placed.of(stored, payment, maybe_sent=True)
        if stored.status is not PaymentStatus.PENDING:
            return placed
        # Our books do not keep the payer.
        submitted = stored.model_copy(update={"payer": payment.payer})
        submission = Submission(payment=submitted, ask_first=placed.resumed)
        try:
            async with asyncio.timeout(order.second):
                created = await self._providers.create_checkout(submission)
        except (ApplicationError, TimeoutError) as error:
            if isinstance(error, ApplicationError) and error.type == ProviderRejected.code:
                return placed.model_copy(update={"rejected": error.details[0]})
            why = getattr(error, "type", None) or type(error).__name__
            activity.logger.warning("the order %s has no answer yet: %s", payment.id, why)
            return placed
        return placed.model_copy(update={"created": created})

    @activity.defn
    @translated
    async def finalise_and_tell(self, end: Bounded) -> Ended:
        """Write the final status and its event, then tell the merchant. Raises ReportMismatch.

        A duplicate is not told of here: its refund is started first.
        """
        async with asyncio.timeout(end.first):
            settled = await self._payments.finalise_payment(end.payment)
        if settled.event_id is None or settled.payment.duplicate:
            return Ended(settled=settled)
        return Ended(settled=settled, tried=await self._webhooks.try_at_once(settled.event_id))
