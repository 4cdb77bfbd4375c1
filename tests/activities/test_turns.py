"""Whose turn it is: the events of one payment go out in order, but none waits for ever."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, text, update
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.errors import STILL_PENDING
from activities.webhooks import EARLIER_EVENT_WAITING, TURN_SECONDS, WebhookActivities
from domain.event import DeliveryStatus
from domain.payment import Payment
from storage.database import Database
from storage.events import EventStore
from storage.tables import events
from tests.activities.conftest import Alarm
from tests.workflows.merchants import ListeningMerchants


@pytest.fixture
def steps(database: Database) -> WebhookActivities:
    return WebhookActivities(
        EventStore(database),
        ListeningMerchants(),  # type: ignore[arg-type] # a merchant, not a sender to one
    )


async def age(owner_database: Database, event: UUID, days: float) -> None:
    """As if it had been written so long ago: past the rule that an event's content is fixed."""
    async with owner_database.transaction() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        await connection.execute(
            update(events)
            .where(events.c.id == event)
            .values(created_at=func.now() - timedelta(days=days))
        )


async def test_an_event_waits_for_one_that_is_still_being_tried(
    database: Database, steps: WebhookActivities, alarm: Alarm, owner_database: Database
) -> None:
    first, second = await alarm("R1"), await alarm("R2")
    await age(owner_database, first, 3.9)

    with pytest.raises(ApplicationError) as waits:
        await ActivityEnvironment().run(steps.await_turn, second)
    with pytest.raises(ApplicationError) as refused:
        await ActivityEnvironment().run(steps.deliver_event, second)

    assert waits.value.type == STILL_PENDING
    assert refused.value.type == EARLIER_EVENT_WAITING


async def test_an_event_that_nobody_gave_up_in_time_holds_nothing_up(
    database: Database, steps: WebhookActivities, alarm: Alarm, owner_database: Database
) -> None:
    first, second = await alarm("R1"), await alarm("R2")
    await age(owner_database, first, 4.1)

    await ActivityEnvironment().run(steps.await_turn, second)
    told = await ActivityEnvironment().run(steps.deliver_event, second)

    assert told.delivery is DeliveryStatus.DELIVERED


async def test_an_event_looks_again_when_its_turn_should_have_come(
    steps: WebhookActivities, alarm: Alarm
) -> None:
    _, second, third = [await alarm(subject) for subject in ("R1", "R2", "R3")]

    assert [await wait_of(steps, event) for event in (second, third)] == [
        timedelta(seconds=TURN_SECONDS),
        timedelta(seconds=2 * TURN_SECONDS),
    ]


async def test_an_event_looks_ever_more_rarely_while_the_endpoint_does_not_take_the_earlier_one(
    steps: WebhookActivities, alarm: Alarm, database: Database
) -> None:
    first, second = await alarm("R1"), await alarm("R2")
    await EventStore(database).record_attempt(first, 500, "out of order")

    assert await wait_of(steps, second) is None


async def test_an_event_looks_ever_more_rarely_where_nobody_sends_the_earlier_one(
    steps: WebhookActivities, alarm: Alarm, owner_database: Database
) -> None:
    first, second = await alarm("R1"), await alarm("R2")
    await age(owner_database, first, 2 / 24 / 60)

    assert await wait_of(steps, second) is None


async def wait_of(steps: WebhookActivities, event: UUID) -> timedelta | None:
    """Until the event looks again; None where the policy says it."""
    with pytest.raises(ApplicationError) as waits:
        await ActivityEnvironment().run(steps.await_turn, event)
    assert waits.value.type == STILL_PENDING
    return waits.value.next_retry_delay


async def test_an_event_is_not_held_up_by_a_later_one(
    steps: WebhookActivities, alarm: Alarm
) -> None:
    first, _ = await alarm("R1"), await alarm("R2")

    await ActivityEnvironment().run(steps.await_turn, first)


async def test_each_refund_that_is_not_ours_is_notified_once(
    database: Database, recorded: Payment, alarm: Alarm
) -> None:
    ids = [await alarm(subject) for subject in ("R1", "R2", "R1", None, None)]

    page = await EventStore(database).list_for_merchant(recorded.merchant_id)
    assert {event.id for event in page.items} == set(ids)
    assert len(page.items) == len({"R1", "R2", None})
