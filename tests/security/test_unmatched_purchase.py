"""A payer's purchase of another product, by the API: what the merchant and the operator see."""

from uuid import UUID

from domain.alarm import AlarmKind
from domain.notification import NotificationOutcome
from tests.api.buyer import COINS, RECIPES, Buyer
from tests.api.house import House, Shop


async def test_other_purchases_are_never_more_than_one_event_and_one_alarm(
    house: House, shop: Shop, buyer: Buyer
) -> None:
    payment = await buyer.ask(COINS)
    others = [
        await buyer.buy(payment, product_id=RECIPES),
        await buyer.buy(payment, quantity=2),
        await buyer.buy(payment, quantity=3),
    ]

    for other in others:
        answer = await buyer.verify(payment, await buyer.signed(other))
        assert (answer.status_code, answer.json()["code"]) == (409, "purchase_differs")
    await buyer.hears(payment, "payment.attention")

    right = await buyer.verify(payment, await buyer.signed(await buyer.buy(payment)))
    assert (right.status_code, right.json()["status"]) == (200, "succeeded"), right.text

    _, succeeded = await buyer.hears(payment, "payment.attention", "payment.succeeded")
    assert succeeded["data"]["attention"] is None
    found = await shop.read(payment)
    assert (found["attention"], found["captured"]) == (None, payment["amount"])
    stores = house.dependencies.stores
    subject = UUID(payment["id"]).hex
    [alarm] = [each for each in await stores.alarms.list_newest() if each.subject == subject]
    assert (alarm.kind, alarm.count) == (AlarmKind.UNMATCHED_PURCHASE, len(others))
    assert others[-1]["transaction_id"] in alarm.detail
    kept = await stores.notifications.list_for_payment(UUID(payment["id"]))
    mismatched = [each for each in kept if each.outcome is NotificationOutcome.MISMATCH]
    assert len(mismatched) == len(others)
