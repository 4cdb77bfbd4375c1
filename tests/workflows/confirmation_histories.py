"""Paths of refunds whose provider confirms its notifications by a query, to be recorded."""

from typing import Any

from temporalio.client import WorkflowHandle

from domain.report import Attention, RefundOutcome
from domain.resolution import ResolveAction
from tests.workflows.scripted import Fault, claim
from tests.workflows.shop import RefundRun, Shop
from workflows.refund import RefundOrder

Run = WorkflowHandle[Any, Any]


async def refund_confirmed(shop: Shop) -> Run:
    order, run = await _taken(shop)
    shop.provider.refund_states[order.refund.reference] = RefundOutcome.SUCCEEDED
    await _claim(shop, run, order, RefundOutcome.SUCCEEDED)
    return run


async def refund_claimed_and_denied(shop: Shop) -> Run:
    order, run = await _taken(shop)
    shop.provider.refund_states[order.refund.reference] = RefundOutcome.FAILED
    await _claim(shop, run, order, RefundOutcome.SUCCEEDED)
    await shop.refund_flagged(order.refund, Attention.CONTRADICTION)
    await shop.resolve_refund(run, ResolveAction.CLOSE)
    return run


async def refund_claimed_after_the_end(shop: Shop) -> Run:
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 500)
    told = shop.hangs(payment)
    run = await shop.start_refund(order)
    await run.execute_update("submitted", order.refund.request_hash)
    await _claim(shop, run, order, RefundOutcome.FAILED)
    await shop.sent("query_refund", order.refund.reference)
    told.set()
    return run


async def late_refund_claimed(shop: Shop) -> Run:
    payment_order = await shop.order()
    payment = await shop.paid(payment_order)
    order = shop.refund_order(payment, 500)
    await (await shop.start_refund(order)).result()
    pending = shop.provider.refund_report(order.refund, RefundOutcome.PENDING)
    shop.provider.script("query_refund", order.refund.reference, Fault(report=pending))
    failed = shop.provider.refund_report(order.refund, RefundOutcome.FAILED)
    return await shop.late(payment_order, payment, claim(failed))


async def _taken(shop: Shop) -> tuple[RefundOrder, RefundRun]:
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 500)
    # Beyond the recording: the notification comes first.
    policy = order.policy.model_copy(update={"grace": 60})
    order = order.model_copy(update={"policy": policy})
    shop.provider.refund_states[order.refund.reference] = RefundOutcome.PENDING
    run = await shop.start_refund(order)
    await run.execute_update("submitted", order.refund.request_hash)
    return order, run


async def _claim(shop: Shop, run: RefundRun, order: RefundOrder, outcome: RefundOutcome) -> None:
    await shop.say(run, claim(shop.provider.refund_report(order.refund, outcome)))


CONFIRMATION_PATHS = (
    refund_confirmed,
    refund_claimed_and_denied,
    refund_claimed_after_the_end,
    late_refund_claimed,
)
