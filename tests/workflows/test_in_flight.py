"""A charge that we gave up waiting for, and that the provider executes nevertheless."""

import asyncio

from domain.payment import Channel, PaymentStatus
from domain.report import Outcome
from tests.workflows.scripted import Fault, Order, report, unknown
from tests.workflows.shop import BRISK, PaymentRun, Shop
from workflows.payment import PaymentOrder
from workflows.policies import Attempts

NEVER_ANSWERED = Fault(hang=True)


async def on_its_way(shop: Shop, *, expires_in: float = 900) -> tuple[PaymentRun, PaymentOrder]:
    """A code was scanned, and its second submission hangs on the wire."""
    order = await shop.order(channel=Channel.BARCODE, policy=BRISK, expires_in=expires_in)
    reference = order.payment.reference
    shop.provider.script("create", reference, Fault(error=unknown()), NEVER_ANSWERED)
    run = await shop.start(order)
    await shop.sent("create", reference, 2)
    return run, order


def charge(shop: Shop, order: PaymentOrder) -> None:
    """The provider executes what was on its way."""
    shop.provider.orders[order.payment.reference] = Order(order.payment.amount, Outcome.PAID)


async def seen_as_unknown(shop: Shop, order: PaymentOrder, questions: int) -> None:
    """The close has asked, and the provider knew nothing of the order."""
    await shop.sent("query", order.payment.reference, questions)


async def test_a_charge_executed_after_the_cancellation_saw_nothing_is_found(shop: Shop) -> None:
    run, order = await on_its_way(shop)
    cancelling = asyncio.create_task(shop.cancel(run))
    await seen_as_unknown(shop, order, 2)

    charge(shop, order)

    assert (await cancelling).status is PaymentStatus.SUCCEEDED
    assert (await run.result()).captured == 1999
    assert shop.merchants.heard(order.payment) == ["payment.succeeded"]


async def test_a_charge_executed_after_the_expiry_saw_nothing_is_found(shop: Shop) -> None:
    run, order = await on_its_way(shop, expires_in=2)
    await seen_as_unknown(shop, order, 2)

    charge(shop, order)

    ended = await run.result()
    assert (ended.status, ended.captured, ended.late) == (PaymentStatus.SUCCEEDED, 1999, False)
    assert shop.merchants.heard(order.payment) == ["payment.succeeded"]


async def test_a_first_submission_that_hangs_is_still_doubted_when_the_merchant_cancels(
    shop: Shop,
) -> None:
    # A workflow's clock stands still while a step runs inside its task.
    fast = Attempts(timeout=0.5, total=0.5, attempts=1)
    policy = BRISK.model_copy(update={"call_fast": fast, "in_flight": 2})
    order = await shop.order(channel=Channel.BARCODE, policy=policy)
    # The cancellation may find the second submission on its way, or the first one given up.
    shop.provider.script("create", order.payment.reference, NEVER_ANSWERED, NEVER_ANSWERED)
    run = await shop.start(order)
    await shop.sent("create", order.payment.reference)
    cancelling = asyncio.create_task(shop.cancel(run))
    await seen_as_unknown(shop, order, 1)

    charge(shop, order)

    assert (await cancelling).status is PaymentStatus.SUCCEEDED


async def test_an_order_whose_submission_is_still_out_is_closed_only_when_it_cannot_arrive(
    shop: Shop,
) -> None:
    run, order = await on_its_way(shop)

    cancelled = await shop.cancel(run)

    assert cancelled.status is PaymentStatus.CLOSED
    assert shop.provider.sent("close", order.payment.reference) == 2


async def test_an_order_that_was_answered_is_closed_at_once(shop: Shop) -> None:
    run, payment = await shop.pending(await shop.order(policy=BRISK))
    shop.provider.script(
        "query", payment.reference, Fault(report=report(payment, Outcome.NOT_FOUND))
    )

    await shop.cancel(run)

    assert shop.provider.sent("close", payment.reference) == 1
