"""Refunds of a provider whose rule is to confirm its notifications by a query."""

import asyncio

from domain.payment import Payment
from domain.report import RefundOutcome
from tests.api.house import eventually
from tests.workflows.scripted import claim
from tests.workflows.shop import RefundRun, Shop
from workflows.refund import RefundOrder

SUCCEEDED, FAILED = RefundOutcome.SUCCEEDED, RefundOutcome.FAILED
PENDING, ABNORMAL = RefundOutcome.PENDING, RefundOutcome.ABNORMAL
LATER = 60.0


async def taken(shop: Shop) -> tuple[Payment, RefundOrder, RefundRun]:
    """A refund of 700 that the provider has accepted and not done; it is not polled soon."""
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 700)
    patient = order.policy.model_copy(update={"grace": LATER})
    order = order.model_copy(update={"policy": patient})
    shop.provider.refund_states[order.refund.reference] = PENDING
    run = await shop.start_refund(order)
    await run.execute_update("submitted", order.refund.request_hash)
    return payment, order, run


async def claims(shop: Shop, run: RefundRun, order: RefundOrder, outcome: RefundOutcome) -> None:
    await shop.say(run, claim(shop.provider.refund_report(order.refund, outcome)))


async def ended(
    shop: Shop, outcome: RefundOutcome
) -> tuple[Payment, RefundOrder, RefundRun, asyncio.Event]:
    """A refund that has ended so; its workflow lives until the merchant answers."""
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 700)
    shop.provider.refund_states[order.refund.reference] = outcome
    told = shop.hangs(payment)
    run = await shop.start_refund(order)

    async def delivering() -> bool:
        return len(shop.merchants.heard(payment)) > 1

    await eventually(delivering)
    return payment, order, run, told
