"""A payment's end, written down and told in one step: each local activity has its price."""

from temporalio import activity

from activities.errors import translated
from activities.payments import PaymentActivities, Settled
from activities.webhooks import Tried, WebhookActivities
from domain.frozen import Frozen
from domain.payment import Payment


class Ended(Frozen):
    """The end as our books have it; `tried` is None where the merchant was not tried yet."""

    settled: Settled
    tried: Tried | None = None


class EndActivities:
    """Writes ends down and tells them."""

    def __init__(self, payments: PaymentActivities, webhooks: WebhookActivities) -> None:
        self._payments = payments
        self._webhooks = webhooks

    @activity.defn
    @translated
    async def finalise_and_tell(self, payment: Payment) -> Ended:
        """Write the final status and its event, then tell the merchant; fails by the first alone.

        A duplicate is not told of here: its refund is started first.
        """
        settled = await self._payments.finalise_payment(payment)
        if settled.event_id is None or settled.payment.duplicate:
            return Ended(settled=settled)
        return Ended(settled=settled, tried=await self._webhooks.try_at_once(settled.event_id))
