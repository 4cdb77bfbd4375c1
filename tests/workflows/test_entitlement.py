"""A store's words after the sale: each applied once, whatever comes first, and told in order."""

import asyncio

from domain.entitlement import EntitlementStatus
from domain.identity import event_id
from domain.payment import Payment
from domain.purchase import Purchase
from domain.report import Attention
from domain.store_change import Change
from tests.workflows.selling import (
    IMPATIENT,
    bought,
    purchase,
    renewed,
    sale,
    sold,
    tell,
    waiting,
    word,
)
from tests.workflows.shop import Shop, eventually
from webhooks.sender import WebhookFailed


async def subscribed(shop: Shop) -> tuple[Payment, Purchase]:
    """A subscription that was bought."""
    order = await sale(shop)
    found = purchase(order.payment)
    return await bought(shop, order, found), found


async def status(shop: Shop, found: Purchase) -> EntitlementStatus:
    entitlement = await shop.entitlements.get(found)
    assert entitlement is not None
    return entitlement.status


async def test_a_renewal_and_a_refund_are_applied_and_told(shop: Shop) -> None:
    payment, first = await subscribed(shop)
    second = renewed(first)

    await (await tell(shop, payment, word(payment, Change.RENEWED, second))).result()
    said = word(payment, Change.REFUNDED, second, days=2)
    dealt_with = await (await tell(shop, payment, said)).result()

    assert dealt_with == [said.word_id]
    assert await status(shop, first) is EntitlementStatus.REFUNDED
    assert shop.merchants.heard(payment) == [
        "payment.succeeded",
        "entitlement.changed",
        "entitlement.changed",
    ]
    assert (await shop.row(payment)).refunded == 0


async def test_a_refund_of_what_the_payment_bought_moves_its_money(shop: Shop) -> None:
    payment, found = await subscribed(shop)
    await (await tell(shop, payment, word(payment, Change.REFUNDED, found))).result()
    await (await tell(shop, payment, word(payment, Change.REFUND_REVERSED, found, days=2))).result()

    assert shop.merchants.heard(payment) == [
        "payment.succeeded",
        "entitlement.changed",
        "refund.succeeded",
        "entitlement.changed",
        "refund.reversed",
    ]
    assert (await shop.row(payment)).refunded == 0


async def test_a_word_told_again_and_again_counts_once(shop: Shop) -> None:
    payment, found = await subscribed(shop)
    said = word(payment, Change.REFUNDED, found)

    await (await tell(shop, payment, said, said, said)).result()
    await (await tell(shop, payment, said)).result()

    assert shop.merchants.heard(payment) == [
        "payment.succeeded",
        "entitlement.changed",
        "refund.succeeded",
    ]
    assert (await shop.row(payment)).refunded == payment.captured


async def test_words_in_the_wrong_order_leave_the_newest(shop: Shop) -> None:
    payment, first = await subscribed(shop)
    life = [
        word(payment, Change.RENEWED, renewed(first)),
        word(payment, Change.GRACE, renewed(first), days=31),
        word(payment, Change.RENEWED, renewed(first, 2)),
        word(payment, Change.EXPIRED, renewed(first, 2), days=31),
    ]

    await (await tell(shop, payment, *reversed(life))).result()

    assert await status(shop, first) is EntitlementStatus.EXPIRED


async def test_a_word_that_is_faster_than_the_money_waits_for_it(shop: Shop) -> None:
    _, run, payment = await waiting(shop)
    found = purchase(payment)
    telling = await tell(shop, payment, word(payment, Change.REFUNDED, found))
    await asyncio.sleep(0.5)
    assert await shop.entitlements.list_for_payment(payment.id) == []

    await shop.say(run, sold(payment, found))
    await run.result()
    await telling.result()

    assert await status(shop, found) is EntitlementStatus.REFUNDED
    assert (await shop.row(payment)).refunded == payment.amount


async def test_a_word_about_a_payment_that_gets_no_money_is_for_a_person(shop: Shop) -> None:
    _, run, payment = await waiting(shop)
    said = word(payment, Change.REFUNDED, purchase(payment))

    await (await tell(shop, payment, said, policy=IMPATIENT)).result()

    assert (await shop.row(payment)).attention is Attention.CONTRADICTION
    assert shop.merchants.heard(payment) == ["payment.attention"]
    await shop.cancel(run)
    await run.result()


async def test_a_word_that_our_books_refuse_is_for_a_person_and_holds_up_no_other(
    shop: Shop,
) -> None:
    payment, found = await subscribed(shop)
    other, theirs = await subscribed(shop)
    foreign = theirs.model_copy(update={"original_transaction_id": found.original_transaction_id})
    words = [
        word(payment, Change.RENEWED, foreign),
        word(payment, Change.RENEWED, renewed(found)),
    ]

    await (await tell(shop, payment, *words)).result()

    assert (await shop.row(payment)).attention is Attention.CONTRADICTION
    assert sorted(shop.merchants.heard(payment)) == [
        "entitlement.changed",
        "payment.attention",
        "payment.succeeded",
    ]
    assert (await shop.entitlements.owners(theirs)).transaction == other.id


async def test_a_word_waits_for_books_that_are_away(shop: Shop) -> None:
    payment, found = await subscribed(shop)
    shop.outages.down("apply", payment.id, times=5)

    await (await tell(shop, payment, word(payment, Change.REFUNDED, found))).result()

    assert shop.outages.left("apply", payment.id) == 0
    assert await status(shop, found) is EntitlementStatus.REFUNDED


async def test_a_merchant_that_was_away_is_told_in_order(shop: Shop) -> None:
    payment, found = await subscribed(shop)
    shop.merchants.answers[payment.id] = [WebhookFailed("down", status=503)]
    first = word(payment, Change.GRACE, found, days=30)
    second = word(payment, Change.EXPIRED, found, days=40)

    run = await tell(shop, payment, first)

    async def has_grace() -> bool:
        return await status(shop, found) is EntitlementStatus.GRACE

    await eventually(has_grace)
    await tell(shop, payment, second)
    await run.result()

    told = [event.data["status"] for event in shop.merchants.told[payment.id][1:]]
    assert told == ["grace", "expired"]
    delivered = await shop.events.get(event_id(payment.id, f"entitlement.changed:{first.word_id}"))
    assert delivered is not None
    assert delivered.attempts >= 1
