from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from domain.notification import Notification, NotificationKind, NotificationOutcome
from storage.database import Database
from storage.erasure import forget_notifications
from storage.notifications import Addressee, Arrival, NotificationStore
from storage.payments import PaymentStore
from tests.storage.making import NewPayment

HEADERS = {"wechatpay-serial": "5157F09EFDC096DE15EBE81A47057A7200000000"}
BODY = b'{"id":"\xe4\xb8\x80"}\n\x00\xff'
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ARRIVAL = Arrival(HEADERS, BODY, NOON)


@pytest.fixture
def notifications(database: Database) -> NotificationStore:
    return NotificationStore(database)


async def kept(
    store: NotificationStore,
    notification: Notification,
    outcome: NotificationOutcome,
    detail: str = "",
) -> UUID:
    """Keep a delivery, and what it led to; returns its row's id."""
    row = await store.record(notification, ARRIVAL)
    if outcome is not NotificationOutcome.RECEIVED:
        await store.note(row, outcome, detail)
    return row


@pytest.fixture
def notification() -> Notification:
    return Notification(
        provider="wechatpay",
        account="main",
        notification_id=uuid4().hex,
        kind=NotificationKind.PAYMENT,
        reference=uuid4().hex,
    )


@pytest.fixture
async def ours(
    payments: PaymentStore, notification: Notification, new_payment: NewPayment
) -> Notification:
    """About a payment in our books."""
    payment = await payments.record(new_payment())
    return notification.model_copy(update={"reference": payment.reference})


async def earlier(
    store: NotificationStore, notification: Notification
) -> NotificationOutcome | None:
    addressee = await store.addressee(notification)
    assert addressee is not None
    return addressee.earlier


async def test_a_notification_is_kept_byte_for_byte_with_what_it_led_to(
    notifications: NotificationStore, notification: Notification
) -> None:
    await kept(notifications, notification, NotificationOutcome.MISMATCH, "another app")

    [record] = await notifications.list_for_payment(UUID(notification.reference))
    assert (record.body, record.headers) == (BODY, HEADERS)
    assert (record.received_at, record.outcome) == (NOON, NotificationOutcome.MISMATCH)
    assert record.detail == "another app"


async def test_what_says_the_same_is_kept_once_and_counted(
    notifications: NotificationStore, notification: Notification
) -> None:
    rows = {await kept(notifications, notification, NotificationOutcome.RECEIVED) for _ in range(3)}

    [record] = await notifications.list_for_payment(UUID(notification.reference))
    assert rows == {record.id}
    assert (record.repeats, record.received_at, record.last_received_at) == (2, NOON, NOON)


@pytest.mark.parametrize(
    "outcome",
    [NotificationOutcome.SIGNALLED, NotificationOutcome.LATE, NotificationOutcome.MISMATCH],
)
async def test_a_message_counts_as_sent_to_a_workflow_from_then_on(
    notifications: NotificationStore, ours: Notification, outcome: NotificationOutcome
) -> None:
    await kept(notifications, ours, NotificationOutcome.RECEIVED)
    assert await earlier(notifications, ours) is None

    await kept(notifications, ours, outcome)
    assert await earlier(notifications, ours) is outcome

    await kept(notifications, ours, NotificationOutcome.DUPLICATE)
    assert await earlier(notifications, ours) is outcome
    [record] = await notifications.list_for_payment(UUID(ours.reference))
    assert record.outcome is outcome


@pytest.mark.parametrize("field", ["provider", "account", "notification_id"])
async def test_the_same_id_elsewhere_is_another_message(
    notifications: NotificationStore, ours: Notification, field: str
) -> None:
    await kept(notifications, ours, NotificationOutcome.SIGNALLED)

    assert await earlier(notifications, ours.model_copy(update={field: "other"})) is None


async def test_a_notification_of_an_order_that_was_never_ours_is_kept_too(
    notifications: NotificationStore, notification: Notification
) -> None:
    foreign = notification.model_copy(update={"reference": "20150806125346"})
    await kept(notifications, foreign, NotificationOutcome.UNKNOWN_REFERENCE)

    assert await notifications.addressee(foreign) is None


async def test_the_addressee_is_the_payment_and_whether_its_run_has_had_the_message(
    notifications: NotificationStore, payments: PaymentStore, ours: Notification
) -> None:
    payment = await payments.get(UUID(ours.reference))
    assert payment is not None

    assert await notifications.addressee(ours) == Addressee(payment)
    await kept(notifications, ours, NotificationOutcome.SIGNALLED)
    assert await notifications.addressee(ours) == Addressee(payment, NotificationOutcome.SIGNALLED)


async def test_what_a_provider_wrote_is_forgotten_and_that_it_wrote_is_not(
    notifications: NotificationStore, ours: Notification, database: Database
) -> None:
    year = NOON - timedelta(days=365)
    for days in range(5):
        arrival = Arrival(HEADERS, BODY, year + timedelta(days=days))
        each = ours.model_copy(update={"notification_id": str(days)})
        row = await notifications.record(each, arrival)
        await notifications.note(row, NotificationOutcome.SIGNALLED)

    counts = [await forget_notifications(database, year + timedelta(days=3)) for _ in range(2)]

    records = await notifications.list_for_payment(UUID(ours.reference))
    assert counts == [3, 0]
    assert [record.body for record in records] == [b"", b"", b"", BODY, BODY]
    assert [record.headers for record in records] == [{}, {}, {}, HEADERS, HEADERS]
    assert await earlier(notifications, each) is NotificationOutcome.SIGNALLED
