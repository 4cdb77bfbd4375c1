"""Two steps of a payment as one, for each local activity has its price (ADR 15).

What the first of the two did counts, however the second ended.
"""

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


class Placed(Frozen):
    """The order in our books, and how its submission went.

    `tried` without an answer: the provider may have the order all the same, so it is asked before
    anything is sent again. `resumed`: an earlier request had written the order down.
    """

    payment: Payment
    resumed: bool
    tried: bool = False
    created: Created | None = None
    rejected: Failure | None = None

    @classmethod
    def of(cls, stored: Payment, ordered: Payment, *, tried: bool = False) -> Self:
        """Written down as `stored`: the run that did it goes by its own time."""
        resumed = stored.created_at != ordered.created_at
        return cls(payment=stored, resumed=resumed, tried=tried)


class Ended(Frozen):
    """The end in our books; `tried` is None where the merchant was not tried yet."""

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
    async def record_and_submit(self, payment: Payment) -> Placed:
        """Write the order down, then submit it. Raises Conflict, as `record_payment` does."""
        stored = await self._payments.record_payment(payment)
        placed = Placed.of(stored, payment)
        if stored.status is not PaymentStatus.PENDING:
            return placed
        # Our books do not keep the payer.
        submitted = stored.model_copy(update={"payer": payment.payer})
        submission = Submission(payment=submitted, ask_first=placed.resumed)
        try:
            created = await self._providers.create_checkout(submission)
        except ApplicationError as error:
            rejected = error.details[0] if error.type == ProviderRejected.code else None
            return placed.model_copy(update={"tried": True, "rejected": rejected})
        return placed.model_copy(update={"tried": True, "created": created})

    @activity.defn
    @translated
    async def finalise_and_tell(self, payment: Payment) -> Ended:
        """Write the final status and its event, then tell the merchant. Raises ReportMismatch.

        A duplicate is not told of here: its refund is started first.
        """
        settled = await self._payments.finalise_payment(payment)
        if settled.event_id is None or settled.payment.duplicate:
            return Ended(settled=settled)
        return Ended(settled=settled, tried=await self._webhooks.try_at_once(settled.event_id))
