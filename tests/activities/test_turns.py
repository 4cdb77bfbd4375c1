"""Whose turn it is: the events of one payment go out in order, but none waits for ever."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, text, update
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.errors import STILL_PENDING
from activities.payments import Flag, PaymentActivities
from activities.webhooks import EARLIER_EVENT_WAITING, WebhookActivities
from domain.event import DeliveryStatus
from domain.identity import payment_id
from domain.merchant import Merchant
from domain.payment import Payment
from domain.report import Attention
from storage.database import Database
from storage.events import EventStore
from storage.merchants import MerchantStore
from storage.payments import PaymentStore
from storage.tables import events
from tests.domain.making import payment
from tests.workflows.merchants import ListeningMerchants

Alarm = Callable[[str | None], Awaitable[UUID]]


@pytest.fixture
async def recorded(database: Database) -> Payment:
    merchant = Merchant(
        id=f"m-{uuid4().hex}", name="Shop", webhook_url="https://shop.example", webhook_secret=None
    )
    await MerchantStore(database).create(merchant)
    key = uuid4().hex
    return await PaymentStore(database).record(
        payment().model_copy(
            update={
                "id": payment_id(merchant.id, key),
                "merchant_id": merchant.id,
                "idempotency_key": key,
                "order_no": key,
            }
        )
    )


@pytest.fixture
def alarm(database: Database, recorded: Payment) -> Alarm:
    """Calls a person about a refund of this number; returns the event's id."""
    steps = PaymentActivities(PaymentStore(database))

    async def call(subject: str | None) -> UUID:
        flag = Flag(
            payment_id=recorded.id,
            attention=Attention.EXTERNAL_REFUND,
            detail="seen there",
            subject=subject,
        )
        return await ActivityEnvironment().run(steps.flag_payment, flag)

    return call


@pytest.fixture
def steps(database: Database) -> WebhookActivities:
    return WebhookActivities(
        EventStore(database),
        MerchantStore(database),
        ListeningMerchants(),  # type: ignore[arg-type] # a merchant, not a sender to one
    )


async def age(database: Database, event: UUID, days: float) -> None:
    """As if it had been written so long ago: past the rule that an event's content is fixed."""
    async with database.transaction() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        await connection.execute(
            update(events)
            .where(events.c.id == event)
            .values(created_at=func.now() - timedelta(days=days))
        )


async def test_an_event_waits_for_one_that_is_still_being_tried(
    database: Database, steps: WebhookActivities, alarm: Alarm
) -> None:
    first, second = await alarm("R1"), await alarm("R2")
    await age(database, first, 3.9)

    with pytest.raises(ApplicationError) as waits:
        await ActivityEnvironment().run(steps.await_turn, second)
    with pytest.raises(ApplicationError) as refused:
        await ActivityEnvironment().run(steps.deliver_event, second)

    assert waits.value.type == STILL_PENDING
    assert refused.value.type == EARLIER_EVENT_WAITING


async def test_an_event_that_nobody_gave_up_in_time_holds_nothing_up(
    database: Database, steps: WebhookActivities, alarm: Alarm
) -> None:
    first, second = await alarm("R1"), await alarm("R2")
    await age(database, first, 4.1)

    await ActivityEnvironment().run(steps.await_turn, second)
    told = await ActivityEnvironment().run(steps.deliver_event, second)

    assert told.delivery is DeliveryStatus.DELIVERED


async def test_an_event_is_not_held_up_by_a_later_one(
    steps: WebhookActivities, alarm: Alarm
) -> None:
    first, _ = await alarm("R1"), await alarm("R2")

    await ActivityEnvironment().run(steps.await_turn, first)


async def test_each_refund_that_is_not_ours_is_told_once(
    database: Database, recorded: Payment, alarm: Alarm
) -> None:
    ids = [await alarm(subject) for subject in ("R1", "R2", "R1", None, None)]

    page = await EventStore(database).list_for_merchant(recorded.merchant_id)
    assert {event.id for event in page.items} == set(ids)
    assert len(page.items) == len({"R1", "R2", None})
