"""A payer buys another product of the same app with the payment's token, which the payer knows.

The money is genuine, and not this payment's. The merchant learns of it once, and of nothing that
the right purchase has settled.
"""

from collections.abc import AsyncIterator

import pytest

from domain.event import DeliveryStatus
from domain.merchant import LatePolicy
from domain.payment import Payment, PaymentStatus
from domain.purchase import Purchase
from domain.report import Attention, Outcome
from storage.database import Database
from tests.workflows.scripted import Fault, notification, report
from tests.workflows.selling import paid_report, purchase, sale, sold, waiting
from tests.workflows.shop import PaymentRun, Shop, eventually
from tests.workflows.stage import open_shop, open_temporal
from workflows import search_attributes
from workflows.payment import PaymentOrder

CHEAP = "com.shop.sticker"


@pytest.fixture(scope="session")
async def shop(database: Database) -> AsyncIterator[Shop]:
    """The workflows over a scripted provider: not the API's shop of the other security tests."""
    async with open_temporal() as env, open_shop(env, database) as opened:
        yield opened


def cheap(payment: Payment) -> Purchase:
    """A purchase of something else, with the payment's id as its token."""
    return purchase(payment, product_id=CHEAP)


def finds(shop: Shop, payment: Payment, found: Purchase) -> None:
    """The store's history holds this purchase alone."""
    shop.provider.script("query", payment.reference, Fault(report=paid_report(payment, found)))


async def settled(shop: Shop, payment: Payment, *events: str) -> None:
    """The right purchase's money is counted, and nothing else is left of it."""
    row = await shop.row(payment)
    assert (row.status, row.captured) == (PaymentStatus.SUCCEEDED, payment.amount)
    assert row.attention is None
    assert shop.merchants.heard(payment) == list(events)


async def disputed(shop: Shop, payment: Payment, run: PaymentRun) -> None:
    """The payment waits for an operator because of the cheap purchase."""
    finds(shop, payment, cheap(payment))
    await shop.say(run, sold(payment, cheap(payment)))
    await shop.flagged(payment, Attention.PRODUCT_MISMATCH)

    async def is_notified() -> bool:
        return shop.merchants.heard(payment) == ["payment.attention"]

    await eventually(is_notified)


async def test_a_mismatch_never_outlives_the_right_purchase(shop: Shop) -> None:
    _, run, payment = await waiting(shop)
    await disputed(shop, payment, run)

    await shop.say(run, sold(payment, purchase(payment)))

    assert (await run.result()).attention is None
    await settled(shop, payment, "payment.attention", "payment.succeeded")
    shown = (await run.describe()).typed_search_attributes
    assert shown.get(search_attributes.ATTENTION) is None


async def test_a_purchase_after_the_right_one_never_calls_anyone(shop: Shop) -> None:
    """It arrives while the merchant's endpoint keeps the paid payment's workflow open."""
    _, run, payment = await waiting(shop)
    answered = shop.hangs(payment)
    await shop.say(run, sold(payment, purchase(payment)))
    await settles(shop, payment)

    for _ in range(3):
        await shop.say(run, sold(payment, cheap(payment)))
    answered.set()

    assert (await run.result()).attention is None
    await settled(shop, payment, "payment.succeeded")


async def settles(shop: Shop, payment: Payment) -> None:
    async def is_paid() -> bool:
        return (await shop.row(payment)).status is PaymentStatus.SUCCEEDED

    await eventually(is_paid)


async def test_ten_purchases_of_other_products_are_never_more_than_one_event(shop: Shop) -> None:
    _, run, payment = await waiting(shop)
    await disputed(shop, payment, run)

    for _ in range(9):
        await shop.say(run, sold(payment, cheap(payment)))
    await shop.say(run, sold(payment, purchase(payment)))

    await run.result()
    await settled(shop, payment, "payment.attention", "payment.succeeded")


async def test_a_mismatch_after_the_expiry_never_outlives_the_right_late_purchase(
    shop: Shop,
) -> None:
    order = await sale(shop, late=LatePolicy.ACCEPT)
    payment = await shop.closed(order)
    finds(shop, payment, cheap(payment))
    await late(shop, order, payment, cheap(payment))
    assert (await shop.row(payment)).attention is Attention.PRODUCT_MISMATCH

    finds(shop, payment, right := purchase(payment))
    await late(shop, order, payment, right)

    await settled(shop, payment, "payment.closed", "payment.attention", "payment.succeeded")


async def late(shop: Shop, order: PaymentOrder, payment: Payment, found: Purchase) -> None:
    said = sold(payment, found)
    await (await shop.late(order, payment, said, policy=order.policy)).result()


async def test_a_wrong_sum_after_the_expiry_never_outlives_the_right_one(shop: Shop) -> None:
    """The same of a provider that reports sums."""
    order = await shop.order(late=LatePolicy.ACCEPT)
    payment = await shop.closed(order)
    wrong = report(payment, Outcome.PAID).model_copy(update={"amount": 500})
    shop.provider.script("query", payment.reference, Fault(report=wrong))
    await (await shop.late(order, payment, notification(wrong))).result()
    assert (await shop.row(payment)).attention is Attention.AMOUNT_MISMATCH

    shop.provider.pay(payment.reference)
    await (await shop.late(order, payment)).result()

    await settled(shop, payment, "payment.closed", "payment.attention", "payment.succeeded")


async def test_a_mismatch_of_a_lost_workflow_never_outlives_the_right_purchase(
    shop: Shop,
) -> None:
    order, run, payment = await waiting(shop)
    await disputed(shop, payment, run)
    await run.terminate("lost")
    row = await shop.row(payment)

    again = await shop.start(order.model_copy(update={"payment": row, "resumed": True}))
    await shop.say(again, sold(payment, purchase(payment)))

    assert (await again.result()).attention is None
    await settled(shop, payment, "payment.attention", "payment.succeeded")


async def test_the_right_purchase_never_clears_what_an_operator_must_still_decide(
    shop: Shop,
) -> None:
    _, run, payment = await waiting(shop)
    event = await shop.payments.flag(payment.id, Attention.EXTERNAL_REFUND, "seen in the console")
    assert event is not None
    await shop.events.mark(event, DeliveryStatus.DELIVERED)

    await shop.say(run, sold(payment, purchase(payment)))

    await run.result()
    assert (await shop.row(payment)).attention is Attention.EXTERNAL_REFUND
