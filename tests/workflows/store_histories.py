"""The paths of what a store sells, for recording histories."""

import asyncio
from typing import Any

from temporalio.client import WorkflowHandle

from domain.event import DeliveryStatus
from domain.report import Attention
from domain.resolution import ResolveAction
from domain.store_change import Change
from tests.workflows import selling
from tests.workflows.shop import Shop

Run = WorkflowHandle[Any, Any]


async def sold_by_a_store(shop: Shop) -> Run:
    order = await selling.sale(shop)
    await selling.bought(shop, order, selling.purchase(order.payment))
    return shop.run(order)


async def sold_twice_by_a_store(shop: Shop) -> Run:
    first = await selling.sale(shop)
    second = await selling.sale(shop, again=first)
    run, payment = await shop.pending(second)
    await selling.bought(shop, first, selling.purchase(first.payment))
    await shop.say(run, selling.sold(payment, selling.purchase(payment)))
    return run


async def store_words(shop: Shop) -> Run:
    order = await selling.sale(shop)
    found = selling.purchase(order.payment)
    payment = await selling.bought(shop, order, found)
    words = (
        selling.word(payment, Change.RENEWED, selling.renewed(found)),
        selling.word(payment, Change.REFUNDED, found, days=40),
    )
    return await selling.tell(shop, payment, *words)


async def store_word_too_early(shop: Shop) -> Run:
    _, run, payment = await selling.waiting(shop)
    found = selling.purchase(payment)
    telling = await selling.tell(shop, payment, selling.word(payment, Change.REFUNDED, found))
    await asyncio.sleep(1)
    await shop.say(run, selling.sold(payment, found))
    return telling


async def store_word_refused(shop: Shop) -> Run:
    _, run, payment = await selling.waiting(shop)
    said = selling.word(payment, Change.REFUNDED, selling.purchase(payment))
    telling = await selling.tell(shop, payment, said, policy=selling.IMPATIENT)
    await telling.result()
    await shop.cancel(run)
    return telling


async def another_purchase_after_the_end(shop: Shop) -> Run:
    _, run, payment = await selling.waiting(shop)
    answered = shop.hangs(payment)
    await shop.say(run, selling.sold(payment, selling.purchase(payment)))
    await shop.merchants.hear(payment, "payment.succeeded")
    other = selling.purchase(payment, product_id="com.shop.sticker")
    await shop.say(run, selling.sold(payment, other))
    answered.set()
    return run


async def resumed_under_review(shop: Shop) -> Run:
    order, run, payment = await selling.waiting(shop)
    event = await shop.payments.flag(payment.id, Attention.CONTRADICTION, "reported, then denied")
    assert event is not None
    await shop.events.mark(event, DeliveryStatus.DELIVERED)
    await run.terminate("lost")
    row = await shop.row(payment)
    again = await shop.start(order.model_copy(update={"payment": row, "resumed": True}))
    await shop.sent("query", payment.reference)
    await shop.resolve(again, ResolveAction.CLOSE)
    return again


STORE_PATHS = (
    sold_by_a_store,
    sold_twice_by_a_store,
    store_words,
    store_word_too_early,
    store_word_refused,
    another_purchase_after_the_end,
    resumed_under_review,
)
