"""Notifications lost, repeated, overtaken, forged or about something else."""

from typing import Any

import pytest
from sqlalchemy import text

from cli.embedded.stack import Stack
from domain.notification import NotificationOutcome
from domain.resolution import ResolveAction
from storage.database import Database
from tests.stack.books import books_agree
from tests.stack.shop import PROVIDERS, Order, Shop
from tests.stack.waiting import eventually

pytestmark = pytest.mark.stack

by_provider = pytest.mark.parametrize("provider", PROVIDERS)
FORGERIES = ["tamper_body", "foreign_key", "unknown_serial", "signtest"]


async def created(order: Order, **pay: Any) -> Order:
    await order.create()
    if pay:
        await order.pay(**pay)
    return order


async def kept(order: Order) -> list[str]:
    """The outcome of each notification, once it is stored: that is after the acknowledgement."""
    database = Database(order.shop.database_url)
    query = "SELECT outcome FROM notifications WHERE reference = :it ORDER BY received_at"

    async def outcomes() -> list[str]:
        async with database.statement() as connection:
            found = [
                str(row) for row in await connection.scalars(text(query), {"it": order.reference})
            ]
        assert NotificationOutcome.RECEIVED not in found
        return found

    try:
        return await eventually(outcomes)
    finally:
        await database.close()


async def succeeded_once(order: Order, *before: str) -> None:
    await order.shows(status="succeeded", captured=order.amount, attention=None)
    await order.told(*before, "payment.succeeded")
    assert await order.moves() == [("capture", order.amount)]
    await books_agree(order.shop)


@by_provider
@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("lose", {}),
        ("delay", {"seconds": 60}),
        ("duplicate", {"times": 20}),
    ],
)
async def test_a_payment_notified_late_or_often_succeeds_once(
    shop: Shop, provider: str, kind: str, params: dict[str, Any]
) -> None:
    order = await created(shop.order(provider))
    await order.fault("notify", kind, params)

    await order.pay()

    await succeeded_once(order)
    assert "signalled" in await kept(order)


@pytest.mark.parametrize("provider", ["alipay", "unionpay"])
async def test_a_notification_in_gbk_is_understood(shop: Shop, provider: str) -> None:
    order = await created(shop.order(provider, subject="明前龙井，半斤"))
    await order.fault("notify", "gbk")

    await order.pay()

    await succeeded_once(order)
    assert await kept(order) == ["signalled"]


@by_provider
async def test_a_refunds_notification_may_overtake_the_payments(shop: Shop, provider: str) -> None:
    order = await created(shop.order(provider))
    await order.fault("notify", "reorder", {"seconds": 30})
    await order.pay()
    await order.sync()

    await order.refund(300)

    await order.shows(status="succeeded", refunded=300, attention=None)
    await order.told("payment.succeeded", "refund.succeeded")
    await books_agree(shop)
    attempts = (await shop.look("notifications"))["attempts"]
    mine = [a for a in attempts if a["reference"] == order.reference]
    assert [a["kind"] for a in mine] == ["refund", "payment"]
    assert all(a["accepted"] for a in mine)
    assert len(await order.refunds()) == 1, "the late word of the payment gives nothing back"


@by_provider
@pytest.mark.parametrize("kind", FORGERIES)
async def test_a_forged_notification_is_rejected_and_changes_nothing(
    shop: Shop, provider: str, kind: str
) -> None:
    order = await created(shop.order(provider), notify=False)

    answer = await order.notify(fault=kind)

    assert not answer["accepted"], answer
    assert await kept(order) == [], "what is not believed is not kept"
    assert (await order.read())["status"] == "pending"
    assert (await order.notify())["accepted"], "the true one is not harmed by it"
    await succeeded_once(order)


async def test_a_replay_from_five_minutes_ago_is_rejected(shop: Shop) -> None:
    """WeChat Pay signs the time; Alipay repeats for a day and its notifications never age."""
    order = await created(shop.order("wechatpay"), notify=False)

    assert not (await order.notify(fault="stale"))["accepted"]

    assert await kept(order) == []
    assert (await order.read())["status"] == "pending"
    await order.sync()
    await succeeded_once(order)


@pytest.mark.parametrize("provider", ["alipay", "unionpay"])
async def test_an_old_notification_is_as_true_as_a_fresh_one(shop: Shop, provider: str) -> None:
    """UnionPay is asked anyway before its notification counts."""
    order = await created(shop.order(provider), notify=False)

    assert (await order.notify(fault="stale"))["accepted"]

    await succeeded_once(order)


@by_provider
async def test_a_signed_notification_about_another_sum_is_rejected_and_the_provider_queried(
    shop: Shop, provider: str
) -> None:
    order = await created(shop.order(provider), notify=False)

    answer = await order.notify(fault="wrong_amount")

    assert not answer["accepted"], answer
    assert await kept(order) == ["mismatch"]
    await succeeded_once(order, "payment.attention")


@by_provider
async def test_a_signed_notification_of_another_merchant_is_rejected_and_changes_nothing(
    shop: Shop, provider: str
) -> None:
    order = await created(shop.order(provider), notify=False)

    answer = await order.notify(fault="foreign_app")

    assert not answer["accepted"], answer
    assert await kept(order) == ["foreign"]
    await succeeded_once(order)


@by_provider
@pytest.mark.parametrize("paid", [900, 1100])
async def test_another_amount_parks_the_payment_until_an_operator_accepts_it(
    shop: Shop, whole_stack: Stack, provider: str, paid: int
) -> None:
    order = await parked(shop.order(provider), paid)

    await order.resolve(whole_stack, ResolveAction.ACCEPT)

    await order.shows(status="succeeded", captured=paid, refunded=0, attention=None)
    await order.told("payment.attention", "payment.succeeded")
    await books_agree(shop)


@by_provider
async def test_another_amount_is_given_back_where_an_operator_says_so(
    shop: Shop, whole_stack: Stack, provider: str
) -> None:
    paid = 1100
    order = await parked(shop.order(provider), paid)

    await order.resolve(whole_stack, ResolveAction.REFUND)

    await order.shows(status="closed", captured=paid, refunded=paid, attention=None)
    await eventually(lambda: all_taken(order))
    assert (await order.read())["attention"] is None, "what is decided is not asked again"
    await order.told("payment.attention", "payment.closed", "refund.succeeded")
    await books_agree(shop)


async def all_taken(order: Order) -> None:
    """The provider repeats none of its notifications any more."""
    deliveries = (await order.shop.look("notifications"))["deliveries"]
    mine = [d for d in deliveries if d["notice"]["reference"] == order.reference]
    assert {delivery["state"] for delivery in mine} == {"accepted"}


async def parked(order: Order, paid: int) -> Order:
    await order.create()
    await order.pay(amount=paid)
    await order.shows(status="pending", captured=0, attention="amount_mismatch")
    assert not (await order.notify())["accepted"]
    return order


async def test_keys_that_rotate_in_flight_cost_no_payment(shop: Shop) -> None:
    before = [await created(shop.order("wechatpay", account="cert")) for _ in range(3)]
    await shop.control("keys/rotate", provider="wechatpay", mode="overlap")
    forged = await created(shop.order("wechatpay", account="cert"), notify=False)

    assert not (await forged.notify(fault="unknown_serial"))["accepted"]
    for order in before:
        await order.pay()
    for order in before:
        await order.shows(status="succeeded", captured=order.amount)
    await shop.control("keys/rotate", provider="wechatpay", mode="finish")
    after = await created(shop.order("wechatpay", account="cert"))
    await after.pay()

    for order in (*before, after, forged):
        await succeeded_once(order)
