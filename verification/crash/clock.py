"""The product's policies on a clock of seconds: the shape of a run without its waits.

A policy travels in a run's input, so only what starts runs, the API, needs to know of it.
"""

from datetime import timedelta
from functools import partial
from typing import Any

from activities import webhooks
from api.in_app import verify
from api.notifications import routing, store_routing
from api.payments import create
from api.payments.proposals import propose_payment
from domain.payment import Channel, Payment
from providers.base import Asking
from workflows.entitlement import EntitlementOrder
from workflows.late_payment import LateOrder
from workflows.payment import PaymentOrder
from workflows.policies import (
    CALL_FAST,
    WEBHOOK_FAST,
    Attempts,
    PaymentPolicy,
    RefundPolicy,
    StorePolicy,
)

# What a merchant asks for where the payment is to expire within these tests.
SHORTEST_LIFE = timedelta(seconds=60)
SHORT_LIFE = timedelta(seconds=8)

_SOON = Attempts(timeout=5, first_wait=1, backoff=1, longest_wait=1)
_WEBHOOK = Attempts(timeout=5, total=3600, first_wait=1, backoff=1, longest_wait=1)
PAYMENT = PaymentPolicy(
    grace=2,
    poll=_SOON,
    call_slow=_SOON,
    close=_SOON,
    ledger_slow=_SOON,
    webhook=_WEBHOOK,
    webhook_fast=WEBHOOK_FAST,
    fast_path=True,
)
STORE = StorePolicy(ledger_slow=_SOON, webhook=_WEBHOOK)
REFUND = RefundPolicy(
    grace=1,
    poll=_SOON,
    call_slow=_SOON,
    ledger_slow=_SOON,
    webhook=_WEBHOOK,
    webhook_fast=WEBHOOK_FAST,
)


def forgive() -> None:
    """An endpoint that seems slow or busy because its steps are held back is told as before."""
    webhooks.AVOIDED_SECONDS = 0.0
    webhooks.MOST_AT_ONCE = 1000


def hasten() -> None:
    """Let the API of this process start runs with these policies."""

    def short_lived(*args: Any) -> Payment:
        payment = propose_payment(*args)
        if payment.expires_at - payment.created_at > SHORTEST_LIFE:
            return payment
        return payment.model_copy(update={"expires_at": payment.created_at + SHORT_LIFE})

    def policy(
        _channel: Channel,
        _asking: Asking | None = None,
        *,
        confirm: bool = False,
        closable: bool = True,
        refundable: bool = True,
    ) -> PaymentPolicy:
        return PAYMENT.model_copy(
            update={
                "confirm": confirm,
                "confirm_fast": CALL_FAST if confirm else None,
                "closable": closable,
                "refundable": refundable,
            }
        )

    names: dict[Any, dict[str, Any]] = {
        create: {
            "propose_payment": short_lived,
            "payment_policy": policy,
            "refund_policy": lambda *_: REFUND,
            "PaymentOrder": partial(PaymentOrder, refund_policy=REFUND),
        },
        routing: {
            "payment_policy": policy,
            "refund_policy": lambda *_: REFUND,
            "LateOrder": partial(LateOrder, refund_policy=REFUND),
        },
        store_routing: {"EntitlementOrder": partial(EntitlementOrder, policy=STORE)},
        # Looked at once: how often it would look until then is chance, and no point to die at.
        verify: {"SETTLING_SECONDS": 0.0},
    }
    for module, replaced in names.items():
        for name, value in replaced.items():
            setattr(module, name, value)
