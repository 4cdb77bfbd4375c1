"""Paths of waits that last so long that an operator is called, to be recorded."""

from typing import Any

from temporalio.client import WorkflowHandle

from domain.refund import RefundStatus
from domain.report import Attention, RefundOutcome
from domain.store_change import Change
from tests.workflows import selling
from tests.workflows.shop import BRISK, Shop
from tests.workflows.test_owed_refunds import end, owed_run, vetoed_while_all_is_held
from workflows.policies import refund_policy

Run = WorkflowHandle[Any, Any]


async def refund_pending_too_long(shop: Shop) -> Run:
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 700)
    policy = order.policy.model_copy(update={"final_within": 1})
    shop.provider.refund_states[order.refund.reference] = RefundOutcome.PENDING
    run = await shop.start_refund(order.model_copy(update={"policy": policy}))
    await shop.refund_flagged(order.refund, Attention.OUTCOME_UNKNOWN)
    shop.provider.refund_states[order.refund.reference] = RefundOutcome.SUCCEEDED
    return run


async def automatic_refund_held_up(shop: Shop) -> Run:
    policy = refund_policy().model_copy(update={"alarm_after": 1, "ledger_slow": BRISK.ledger_slow})
    payment, held = await vetoed_while_all_is_held(shop, policy)
    await shop.flagged(payment, Attention.OUTCOME_UNKNOWN)
    await end(shop, held, RefundStatus.FAILED)
    return owed_run(shop, payment)


async def store_change_held_up(shop: Shop) -> Run:
    _, run, payment = await selling.waiting(shop)
    found = selling.purchase(payment)
    policy = selling.WORDS.model_copy(update={"alarm_after": 1})
    refunded = selling.word(payment, Change.REFUNDED, found)
    changing = await selling.tell(shop, payment, refunded, policy=policy)
    await shop.flagged(payment, Attention.OUTCOME_UNKNOWN)
    await shop.say(run, selling.sold(payment, found))
    return changing


ALARM_PATHS = (refund_pending_too_long, automatic_refund_held_up, store_change_held_up)
