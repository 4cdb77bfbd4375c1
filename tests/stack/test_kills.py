import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from cli.embedded.config import Service
from cli.embedded.stack import Stack
from tests.cli.embedded.processes import kill, kill_all, replaced
from tests.stack.books import books_agree, unknown_orders
from tests.stack.shop import PROVIDERS, Order, Shop

pytestmark = pytest.mark.stack

# A payment's way; where it yields, the processes are killed.
Course = Callable[[Order], AsyncIterator[None]]


async def not_yet_paid(order: Order) -> AsyncIterator[None]:
    await order.create()
    yield
    await order.pay()


async def paid_and_still_to_be_notified(order: Order) -> AsyncIterator[None]:
    await order.create()
    await order.fault("notify", "lose")
    await order.pay()
    yield


async def just_paid(order: Order) -> AsyncIterator[None]:
    """Notification, finalising and webhook are under way, whichever the kill meets."""
    await order.create()
    await order.pay()
    yield


async def typing_the_password(order: Order) -> AsyncIterator[None]:
    order.channel = "barcode"
    await order.fault("create", "pending", {"then": "paid", "seconds": 120})
    payment = await order.create()
    assert payment["status"] == "pending"
    yield


async def being_refunded(order: Order) -> AsyncIterator[None]:
    await order.create()
    await order.pay()
    await order.shows(status="succeeded")
    slowly = {"status": "PROCESSING", "then": "SUCCESS", "seconds": 90}
    await order.fault("refund", "refund_status", slowly)
    await order.refund(300)
    yield
    await order.shows(refunded=300)


async def being_created(order: Order) -> AsyncIterator[None]:
    creating = asyncio.create_task(order.create())
    yield
    await creating
    await order.pay()


async def refund_being_created(order: Order) -> AsyncIterator[None]:
    await order.create()
    await order.pay()
    await order.shows(status="succeeded")
    refunding = asyncio.create_task(order.refund(order.amount))
    yield
    await refunding
    await order.shows(refunded=order.amount)


COURSES: list[Course] = [
    not_yet_paid,
    paid_and_still_to_be_notified,
    just_paid,
    typing_the_password,
    being_refunded,
    being_created,
    refund_being_created,
]


async def in_flight(shop: Shop) -> list[tuple[Order, AsyncIterator[None]]]:
    """A payment of each provider on each course, as far as the kill."""
    await shop.answer_webhooks(500, times=4)
    orders = [shop.order(provider) for provider in PROVIDERS for _ in COURSES]
    flights = [
        course(order) for order, course in zip(orders, COURSES * len(PROVIDERS), strict=True)
    ]
    await asyncio.gather(*(anext(flight) for flight in flights))
    return list(zip(orders, flights, strict=True))


async def all_end_right(shop: Shop, flights: list[tuple[Order, AsyncIterator[None]]]) -> None:
    """Every payment succeeds, and every book says so."""
    await asyncio.gather(*(anext(flight, None) for _, flight in flights))
    for order, _ in flights:
        await order.shows(status="succeeded", captured=order.amount, attention=None)
    books = await books_agree(shop)
    assert len(books.payments) == len(books.orders) == len(flights)
    assert not await unknown_orders(shop)


@pytest.mark.parametrize("name", [s for s in Service if s is not Service.SANDBOX])
async def test_killing_one_process_changes_no_outcome(
    shop: Shop, whole_stack: Stack, name: Service
) -> None:
    flights = await in_flight(shop)

    await kill(whole_stack, name)

    await all_end_right(shop, flights)


async def test_killing_every_process_at_once_changes_no_outcome(
    shop: Shop, whole_stack: Stack
) -> None:
    flights = await in_flight(shop)

    old = {name: whole_stack.process(name) for name in Service}
    kill_all(old.values())
    for name in Service:
        await replaced(whole_stack, name, old[name])

    await all_end_right(shop, flights)
