import asyncio
import random
from collections import Counter

import pytest

from tests.stack.books import books_agree, differences, read_books
from tests.stack.shop import PROVIDERS, Order, Shop

pytestmark = pytest.mark.stack

by_provider = pytest.mark.parametrize("provider", PROVIDERS)


async def paid(order: Order) -> Order:
    await order.create()
    await order.pay()
    await order.shows(status="succeeded")
    return order


@by_provider
@pytest.mark.parametrize("channel", ["qr", "barcode"])
async def test_fifty_parallel_identical_creates_make_one_order(
    shop: Shop, provider: str, channel: str
) -> None:
    order = shop.order(provider, channel)
    other = order.body | {"amount": order.amount + 1}
    bodies = [order.body] * 25 + [other] + [order.body] * 25

    answers = await asyncio.gather(*(shop.api.post("/v1/payments", json=body) for body in bodies))

    refused = [a for a in answers if a.status_code == 409]
    winner = order.amount if len(refused) == 1 else order.amount + 1
    assert len(refused) in (1, 50), "whichever body came first wins"
    assert {a.json()["code"] for a in refused} == {"idempotency_key_reused"}
    assert {a.status_code for a in answers} - {409} <= {200, 201, 202}
    assert sum(a.status_code == 201 for a in answers) <= 1
    if channel == "qr":
        await order.pay()
    await order.shows(status="succeeded", captured=winner)
    books = await books_agree(shop)
    assert [made["amount"] for made in books.orders] == [winner]
    assert await order.moves() == [("capture", winner)]


@by_provider
async def test_fifty_parallel_refunds_never_exceed_what_was_captured(
    shop: Shop, provider: str
) -> None:
    order = await paid(shop.order(provider, amount=10_000))
    sizes = [random.randint(1, 3_000) for _ in range(50)]  # noqa: S311 - pytest-randomly seeds it
    path = f"/v1/payments/{order.id}/refunds"

    answers = await asyncio.gather(
        *(
            shop.api.post(path, json={"amount": size}, headers={"Idempotency-Key": f"r{number}"})
            for number, size in enumerate(sizes)
        )
    )

    refused = [a for a in answers if a.status_code == 409]
    assert {a.json()["code"] for a in refused} <= {"refund_exceeds_captured"}
    others = [a for a in answers if a.status_code not in (201, 202, 409)]
    assert not others, [a.text for a in others]
    books = await books_agree(shop)
    given = [refund["amount"] for refund in books.refunds if refund["status"] == "succeeded"]
    assert sum(given) <= order.amount
    left = order.amount - sum(given)
    sized = list(zip(sizes, answers, strict=True))
    taken = [size for size, answer in sized if answer.status_code == 201]
    assert not Counter(taken) - Counter(given), "what was taken on was given back"
    too_much = [size for size, answer in sized if answer.status_code == 409]
    assert all(size > left for size in too_much), "what was refused did not fit"


@by_provider
async def test_one_refund_requested_fifty_times_gives_the_money_back_once(
    shop: Shop, provider: str
) -> None:
    order = await paid(shop.order(provider))

    await asyncio.gather(*(order.refund(400) for _ in range(50)))

    await order.shows(refunded=400, refund_reserved=0)
    await order.told("payment.succeeded", "refund.succeeded")
    assert await order.moves() == [("capture", order.amount), ("refund", 400)]
    await books_agree(shop)


@by_provider
async def test_two_hundred_copies_of_a_notification_finalise_once(
    shop: Shop, provider: str
) -> None:
    order = shop.order(provider)
    await order.create()
    await order.fault("notify", "duplicate", {"times": 200})

    await order.pay()

    await _ended_once(order)


@by_provider
async def test_two_hundred_notifications_of_one_payment_finalise_once(
    shop: Shop, provider: str
) -> None:
    """Each with an id of its own: only the payment itself says that they are repeats."""
    order = shop.order(provider)
    await order.create()
    await order.pay(notify=False)

    answers = await asyncio.gather(*(order.notify() for _ in range(200)))

    assert any(answer["accepted"] for answer in answers)
    await _ended_once(order)
    assert (await order.notify())["accepted"], "a repeat after the end is acknowledged"
    await _ended_once(order)


async def test_the_comparison_of_the_schema_notices_what_we_do_not_know(shop: Shop) -> None:
    order = shop.order("wechatpay")
    await order.create()
    await order.pay(notify=False)

    assert any(
        "captured 0 here, [1000] there" in line for line in differences(await read_books(shop))
    )
    await order.sync()
    await books_agree(shop)


async def _ended_once(order: Order) -> None:
    await order.shows(status="succeeded", captured=order.amount, attention=None)
    await order.told("payment.succeeded")
    books = await books_agree(order.shop)
    assert len(books.events) == 1
    assert [message["type"] for message in books.inbox] == ["payment.succeeded"]
    assert await order.moves() == [("capture", order.amount)]
