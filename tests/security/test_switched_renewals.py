"""What a buyer can do at will never keeps out what the store says of the money."""

from datetime import UTC, datetime
from uuid import uuid4

from domain.notification import Notification, NotificationKind, NotificationOutcome
from storage.notification_statements import MOST_SIGNALS_A_DAY
from storage.notifications import Arrival
from tests.api.buyer import MONTHLY, Buyer
from tests.api.house import House, Shop, eventually


async def test_a_hundred_switches_of_renewal_never_hide_a_refund(
    buyer: Buyer, shop: Shop, house: House
) -> None:
    payment, bought = await buyer.bought(MONTHLY)
    stored = house.dependencies.stores.notifications
    for _ in range(MOST_SIGNALS_A_DAY):
        switched = Notification(
            provider="apple_iap",
            account=payment["account"],
            notification_id=uuid4().hex,
            kind=NotificationKind.STORE,
            reference=payment["id"].replace("-", ""),
        )
        row = await stored.record(switched, Arrival({}, b"", datetime.now(UTC)))
        await stored.note(row, NotificationOutcome.SIGNALLED)

    await buyer.act("refund", transaction_id=bought["transaction_id"])

    async def refunded() -> bool:
        return bool((await shop.read(payment))["refunded"] == payment["amount"])

    await eventually(refunded)
