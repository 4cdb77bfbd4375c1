"""Paths where signed evidence is weighed against a query and our own doing, to be recorded."""

import asyncio
from typing import Any

from temporalio.client import WorkflowHandle

from domain.report import Outcome
from tests.workflows.scripted import Fault, notification, report
from tests.workflows.shop import Shop
from tests.workflows.test_own_refunds import at_the_till, undone
from tests.workflows.test_refused_refunds import too_much
from workflows.refund import ANSWERED_BY

Run = WorkflowHandle[Any, Any]


async def cancelled_while_paying(shop: Shop) -> Run:
    order, run, payment = await at_the_till(shop)
    answered = asyncio.Event()
    shop.provider.script("close", payment.reference, Fault(report=undone(payment), gate=answered))
    cancelling = asyncio.create_task(shop.cancel(run))
    await shop.sent("close", payment.reference)
    await shop.notify(run, order)
    await asyncio.sleep(0.5)
    answered.set()
    await cancelling
    return run


async def external_refund_told(shop: Shop) -> Run:
    run, payment = await shop.pending(await shop.order())
    shop.provider.pay(payment.reference)
    told = report(payment, Outcome.PAID).model_copy(update={"refunded": 500})
    await shop.say(run, notification(told))
    return run


async def late_external_refund(shop: Shop) -> Run:
    order = await shop.order()
    payment = await shop.paid(order)
    told = report(payment, Outcome.PAID).model_copy(update={"refunded": 500})
    return await shop.late(order, payment, notification(told))


async def refund_refused_late(shop: Shop) -> Run:
    _, order = await too_much(shop, ago=ANSWERED_BY + 30)
    return await shop.start_refund(order)


EVIDENCE_PATHS = (
    cancelled_while_paying,
    external_refund_told,
    late_external_refund,
    refund_refused_late,
)
