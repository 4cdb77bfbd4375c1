"""Every activity that a worker runs, by the queue that carries it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from activities.entitlements import EntitlementActivities
from activities.fast_path import FastPathActivities
from activities.payments import PaymentActivities
from activities.provider_calls import ProviderActivities
from activities.refunds import RefundActivities
from activities.webhooks import WebhookActivities

Steps = list[Callable[..., Any]]


@dataclass(frozen=True)
class Activities:
    """The activities with their dependencies in place."""

    payments: PaymentActivities
    refunds: RefundActivities
    providers: ProviderActivities
    webhooks: WebhookActivities
    entitlements: EntitlementActivities

    @property
    def fast_path(self) -> FastPathActivities:
        """Those that are two of the others."""
        return FastPathActivities(self.payments, self.providers, self.webhooks)

    def provider_steps(self) -> Steps:
        """Calls to a provider; the fast ones run inside the workflow task as well."""
        calls = self.providers
        return [
            calls.create_checkout,
            calls.query_payment,
            calls.poll_payment,
            calls.close_payment,
            calls.submit_refund,
            calls.query_refund,
            calls.poll_refund,
        ]

    def workflow_steps(self) -> Steps:
        """Activities of the workflows' own queue: the database's, and every local activity."""
        payments, refunds = self.payments, self.refunds
        return [
            payments.record_payment,
            payments.load_payment,
            payments.finalise_payment,
            payments.capture_late_payment,
            payments.accept_late_payment,
            payments.flag_payment,
            payments.clear_flag,
            refunds.reserve_refund,
            refunds.load_refund,
            refunds.record_refused_refund,
            refunds.settle_refund,
            refunds.record_external_refund,
            refunds.flag_refund,
            self.entitlements.apply_change,
            self.webhooks.give_up_event,
            self.webhooks.deliver_at_once,
            self.fast_path.record_and_submit,
            self.fast_path.finalise_and_tell,
            *self.provider_steps(),
        ]

    def webhook_steps(self) -> Steps:
        """Deliveries to merchants."""
        return [self.webhooks.deliver_event, self.webhooks.await_turn]
