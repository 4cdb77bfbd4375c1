"""Genuine notifications about strangers' orders, sent to us by whoever holds them.

UnionPay's certificate and Apple's root sign for every merchant in the world, and so does an app
that another merchant of the same deployment owns. What they sign verifies, and must still change,
delay and announce nothing.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from api.notifications.routing import repeat_of
from domain.identity import late_workflow_id
from domain.notification import Notification, NotificationKind, NotificationOutcome
from domain.report import Outcome, PaymentReport
from storage.notification_statements import MOST_SIGNALS_A_DAY
from storage.notifications import Addressee, Arrival
from tests.api.house import House, ProviderSide, Shop
from tests.security.foreign import ACCOUNTS, Traces, events, pay, pending

REPLAYS = 20


@pytest.mark.parametrize("name", ACCOUNTS)
async def test_a_strangers_notification_never_reaches_a_workflow(
    shop: Shop, provider: ProviderSide, house: House, name: str
) -> None:
    made = await pending(shop, name)
    await pay(provider, made)
    traces = Traces(house, made)
    alarms = await traces.alarms()

    for _ in range(REPLAYS):
        answer = await provider.notify(made, fault="foreign_app")
        assert not answer["accepted"]

    assert await traces.signals() == 0
    found = await shop.read(made)
    assert (found["status"], found["captured"], found["attention"]) == ("pending", 0, None)
    assert await events(shop, made) == []
    assert await traces.alarms() == alarms + REPLAYS
    # The payment's own notification is not held up by them.
    assert (await provider.notify(made))["accepted"]
    assert (await shop.reaches(made, "succeeded"))["captured"] == made["amount"]


@pytest.mark.parametrize("name", ["wechatpay", "alipay", "unionpay"])
async def test_a_strangers_refund_notification_never_reaches_a_workflow(
    shop: Shop, provider: ProviderSide, house: House, name: str
) -> None:
    made = await pending(shop, name)
    await pay(provider, made)
    assert (await provider.notify(made))["accepted"]
    await shop.reaches(made, "succeeded")
    await house.ended(made)
    refund = (await shop.refund(made, "r-1", amount=500)).json()
    if name != "alipay":
        content = {"provider": name, "refund_reference": UUID(refund["id"]).hex}
        await provider.control.post(
            "/_sandbox/refunds/complete", json=content | {"status": "SUCCESS"}
        )
    traces = Traces(house, made)

    for _ in range(3):
        answer = await provider.notify(
            made, kind="refund", refund_reference=UUID(refund["id"]).hex, fault="foreign_app"
        )
        assert not answer["accepted"]

    assert await traces.late_workflows() == 0
    assert (await shop.read(made))["attention"] is None
    assert "payment.attention" not in await events(shop, made)


@pytest.mark.parametrize("name", ACCOUNTS)
async def test_a_strangers_notification_after_the_end_starts_no_workflow(
    shop: Shop, provider: ProviderSide, house: House, name: str
) -> None:
    made = await pending(shop, name)
    await pay(provider, made)
    assert (await provider.notify(made))["accepted"]
    await shop.reaches(made, "succeeded")
    await house.ended(made)

    for _ in range(REPLAYS):
        assert not (await provider.notify(made, fault="foreign_app"))["accepted"]

    traces = Traces(house, made)
    assert await traces.late_workflows() == 0
    assert (await shop.read(made))["attention"] is None
    assert await events(shop, made) == ["payment.succeeded"]


async def test_a_strangers_notification_is_not_kept_twice(
    shop: Shop, house: House, provider: ProviderSide
) -> None:
    made = await pending(shop, "unionpay")
    await pay(provider, made)

    for _ in range(REPLAYS):
        await provider.notify(made, fault="foreign_app")

    kept = await Traces(house, made).outcomes()
    assert kept == [(NotificationOutcome.FOREIGN, REPLAYS - 1)]


async def test_a_wrong_amount_is_not_signalled_twice(
    shop: Shop, provider: ProviderSide, house: House
) -> None:
    made = await pending(shop, "unionpay")
    await pay(provider, made)
    traces = Traces(house, made)
    assert not (await provider.notify(made, fault="wrong_amount"))["accepted"]

    assert await traces.signals() == 1
    for _ in range(REPLAYS):
        assert not (await provider.notify(made, fault="wrong_amount"))["accepted"]
    assert await traces.signals() == 1


async def test_a_flood_of_different_notifications_never_fills_a_workflows_history(
    shop: Shop, provider: ProviderSide, house: House
) -> None:
    made = await pending(shop, "wechatpay")
    await pay(provider, made)
    traces = Traces(house, made)
    stored = house.dependencies.stores.notifications
    for _ in range(MOST_SIGNALS_A_DAY):
        row = await stored.record(sent_before(made), Arrival({}, b"", datetime.now(UTC)))
        await stored.note(row, NotificationOutcome.SIGNALLED)
    # The first one of a payment that this process made is not looked up.
    house.dependencies.expected.addressee(sent_before(made))

    assert not (await provider.notify(made))["accepted"]

    assert await traces.signals() == 0
    assert await traces.alarms(traces.id.hex) == 1
    # What the provider would have said is still asked for.
    assert (await shop.http.post(f"/v1/payments/{made['id']}/sync")).json()["status"] == "succeeded"


def sent_before(made: dict[str, Any]) -> Notification:
    """One of many that the provider has sent about the payment, each with a number of its own."""
    reference = UUID(made["id"]).hex
    said = PaymentReport(reference=reference, outcome=Outcome.PENDING, raw_status="NOTPAY")
    return Notification(
        provider=made["provider"],
        account=made["account"],
        notification_id=uuid4().hex,
        kind=NotificationKind.PAYMENT,
        reference=reference,
        payment=said,
    )


async def test_a_late_notification_is_not_lost_with_the_workflow_that_was_sent_it(
    shop: Shop, house: House
) -> None:
    made = await pending(shop, "wechatpay")
    payment = await house.dependencies.stores.payments.get(UUID(made["id"]))
    assert payment is not None
    temporal = house.dependencies.temporal

    lost = Addressee(payment, earlier=NotificationOutcome.LATE)
    assert await repeat_of(house.dependencies, lost) is None

    await temporal.start_workflow(
        "Anything", id=late_workflow_id(payment.id), task_queue="nobody-polls"
    )
    again = await repeat_of(house.dependencies, lost)
    assert again is not None
    assert again.outcome is NotificationOutcome.DUPLICATE
    await temporal.get_workflow_handle(late_workflow_id(payment.id)).terminate("lost")
    assert await repeat_of(house.dependencies, lost) is None
