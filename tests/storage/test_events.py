from uuid import uuid4

import asyncpg
import pytest

from domain.errors import InvalidRequest, NotFound
from domain.event import DeliveryStatus, Event, EventType
from domain.payment import Payment
from domain.report import Attention
from storage.database import Database
from storage.events import LONGEST_ERROR, EventStore
from storage.outbox import Alarm, raise_alarm
from storage.payments import PaymentStore
from tests.storage.making import Paid


@pytest.fixture
async def told(payments: PaymentStore, paid: Paid, events: EventStore) -> list[Event]:
    """Three events of one payment, oldest first."""
    payment: Payment = await paid()
    await payments.flag(payment.id, Attention.CONTRADICTION, "")
    await payments.flag(payment.id, Attention.EXTERNAL_REFUND, "")
    page = await events.list_for_merchant(payment.merchant_id)
    return sorted(page.items, key=lambda event: event.sequence)


async def test_an_event_reads_back_with_what_the_merchant_is_notified(
    events: EventStore, paid: Paid
) -> None:
    payment = await paid()
    [event] = (await events.list_for_merchant(payment.merchant_id)).items

    assert await events.get(event.id) == event
    assert event.data["id"] == str(payment.id)
    assert event.data["metadata"] == payment.metadata
    assert "request_hash" not in event.data
    assert await events.get(uuid4()) is None


async def test_events_of_one_transaction_are_listed_in_their_order(
    events: EventStore, paid: Paid, database: Database
) -> None:
    payment = await paid()
    alarms = [Alarm(attention=each, detail="") for each in Attention]
    async with database.transaction() as connection:
        for alarm in alarms:
            await raise_alarm(connection, payment.id, alarm)

    listed = (await events.list_for_merchant(payment.merchant_id)).items
    assert [event.sequence for event in listed] == list(range(len(alarms) + 1, 0, -1))


async def test_an_event_waits_for_every_earlier_one_of_its_payment(
    events: EventStore, told: list[Event]
) -> None:
    first, second, third = told

    assert [(await events.queue_before(event)).length for event in told] == [0, 1, 2]
    await events.mark(first.id, DeliveryStatus.DELIVERED)
    assert [(await events.queue_before(event)).length for event in (second, third)] == [0, 1]
    await events.mark(second.id, DeliveryStatus.GIVEN_UP)
    assert (await events.queue_before(third)).length == 0


async def test_events_of_other_payments_are_not_waited_for(events: EventStore, paid: Paid) -> None:
    await paid()
    payment = await paid()
    [event] = (await events.list_for_merchant(payment.merchant_id, payment_id=payment.id)).items

    assert (await events.queue_before(event)).length == 0


async def test_a_delivery_knows_in_one_look_what_it_needs(
    events: EventStore, told: list[Event]
) -> None:
    due = [await events.due(event.id) for event in told]

    assert [found and found.event for found in due] == told
    assert [found and found.waits for found in due] == [False, True, True]
    assert {found and found.merchant and found.merchant.id for found in due} == {
        told[0].merchant_id
    }
    assert await events.due(uuid4()) is None


async def test_the_first_answer_stands(events: EventStore, told: list[Event]) -> None:
    assert await events.delivered(told[0].id, 200, veto="sold out") == "sold out"
    assert await events.delivered(told[0].id, 200) == "sold out"
    found = await events.get(told[0].id)
    assert found is not None
    assert found.veto == "sold out"


async def test_a_delivery_is_counted_each_time_and_dated_once(
    events: EventStore, told: list[Event]
) -> None:
    await events.record_attempt(told[0].id, 500, "not now")
    await events.delivered(told[0].id, 200)
    first = await events.get(told[0].id)
    await events.delivered(told[0].id, 204)
    second = await events.get(told[0].id)

    assert first is not None
    assert second is not None
    assert (first.delivery, first.attempts) == (DeliveryStatus.DELIVERED, 2)
    assert second.attempts == 3
    assert second.delivered_at == first.delivered_at is not None
    with pytest.raises(NotFound):
        await events.delivered(uuid4(), 200)


async def test_what_was_delivered_stays_delivered(events: EventStore, told: list[Event]) -> None:
    await events.mark(told[0].id, DeliveryStatus.DELIVERED)
    first = await events.get(told[0].id)

    await events.mark(told[0].id, DeliveryStatus.GIVEN_UP)
    await events.mark(told[0].id, DeliveryStatus.DELIVERED)

    assert first is not None
    assert first.delivered_at is not None
    assert await events.get(told[0].id) == first


async def test_attempts_are_counted_and_the_last_one_is_kept(
    events: EventStore, told: list[Event], sql: asyncpg.Connection
) -> None:
    await events.record_attempt(told[0].id, None, "timed out")
    await events.record_attempt(told[0].id, 500, "x" * 10_000)

    row = await sql.fetchrow("SELECT * FROM events WHERE id = $1", told[0].id)
    event = await events.get(told[0].id)
    assert event is not None
    assert event.attempts == 2
    assert (row["last_http_status"], row["last_error"]) == (500, "x" * LONGEST_ERROR)


async def test_an_event_that_is_not_there_is_not_found(events: EventStore) -> None:
    with pytest.raises(NotFound):
        await events.mark(uuid4(), DeliveryStatus.DELIVERED)
    with pytest.raises(NotFound):
        await events.record_attempt(uuid4(), 200, None)


async def test_events_are_listed_by_type_and_payment(
    events: EventStore, paid: Paid, told: list[Event]
) -> None:
    merchant_id = told[0].merchant_id
    other = await paid()

    flags = await events.list_for_merchant(merchant_id, type=EventType.PAYMENT_ATTENTION)
    of_other = await events.list_for_merchant(merchant_id, payment_id=other.id)

    assert {event.id for event in flags.items} == {told[1].id, told[2].id}
    assert [event.payment_id for event in of_other.items] == [other.id]


async def test_pages_of_events_hold_each_event_once_newest_first(
    events: EventStore, told: list[Event], paid: Paid
) -> None:
    merchant_id, seen, cursor = told[0].merchant_id, [], None
    while True:
        page = await events.list_for_merchant(merchant_id, cursor=cursor, limit=2)
        seen += page.items
        if (cursor := page.next_cursor) is None:
            break

    assert [event.id for event in seen] == [event.id for event in reversed(told)]


async def test_a_foreign_cursor_is_rejected(events: EventStore) -> None:
    with pytest.raises(InvalidRequest):
        await events.list_for_merchant("m", cursor="bm90IG91cnM=")
