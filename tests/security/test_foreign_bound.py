"""What is kept of strangers' messages: so many different ones a day, however often each comes."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from api.notifications import receive
from domain.notification import Notification, NotificationKind, NotificationOutcome
from domain.report import Attention, Outcome, PaymentReport
from storage.notifications import Arrival, NotificationRecord
from tests.api.house import House

MOST = 3


def foreign(account: str, reference: str) -> Notification:
    return Notification(
        provider="unionpay",
        account=account,
        notification_id=uuid4().hex,
        kind=NotificationKind.PAYMENT,
        reference=reference,
        payment=PaymentReport(
            reference=reference,
            outcome=Outcome.PAID,
            raw_status="00",
            mismatch=Attention.ACCOUNT_MISMATCH,
        ),
    )


def unknown(account: str) -> Notification:
    """Genuine, and about an order that was never made here."""
    reference = uuid4().hex
    said = PaymentReport(reference=reference, outcome=Outcome.PAID, raw_status="00")
    return foreign(account, reference).model_copy(update={"payment": said})


async def arrives(house: House, notification: Notification, times: int = 1) -> None:
    for _ in range(times):
        arrival = Arrival({}, b"signed", datetime.now(UTC))
        routed = await receive.receive(house.dependencies, notification, arrival)
        assert (routed.outcome, routed.acknowledged) == (NotificationOutcome.FOREIGN, False)


async def kept(house: House, notification: Notification) -> list[NotificationRecord]:
    stored = house.dependencies.stores.notifications
    found = await stored.list_for_payment(UUID(notification.reference))
    return [each for each in found if each.notification_id == notification.notification_id]


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(receive, "MOST_FOREIGN_KEPT", MOST)
    return f"a-{uuid4().hex[:8]}"


async def test_repeats_of_one_message_never_use_up_the_places_of_others(
    house: House, account: str
) -> None:
    loud, other = foreign(account, uuid4().hex), foreign(account, uuid4().hex)

    await arrives(house, loud, times=MOST * 3)
    await arrives(house, other)

    [first], [second] = await kept(house, loud), await kept(house, other)
    assert (first.repeats, second.repeats) == (MOST * 3 - 1, 0)
    assert first.outcome is second.outcome is NotificationOutcome.FOREIGN
    assert first.detail == second.detail == "about an order of another merchant's account"


async def test_different_messages_are_never_kept_without_a_bound(
    house: House, account: str
) -> None:
    messages = [foreign(account, uuid4().hex) for _ in range(MOST + 2)]
    for each in messages:
        await arrives(house, each)
    # A repeat of one that is kept is still counted on it.
    await arrives(house, messages[0])

    rows = [await kept(house, each) for each in messages]
    assert [len(row) for row in rows] == [1] * MOST + [0] * 2
    assert rows[0][0].repeats == 1
    raised = await house.dependencies.stores.alarms.list_newest()
    assert [each.count for each in raised if each.subject.endswith(account)] == [MOST + 3]


async def test_what_was_kept_before_it_was_known_to_be_foreign_says_so_after_its_repeat(
    house: House, account: str
) -> None:
    message = foreign(account, uuid4().hex)
    arrival = Arrival({}, b"signed", datetime.now(UTC))
    await house.dependencies.stores.notifications.record(message, arrival)

    await arrives(house, message)

    [row] = await kept(house, message)
    assert (row.outcome, row.repeats) == (NotificationOutcome.FOREIGN, 1)


async def test_one_account_never_uses_up_the_places_of_another(house: House, account: str) -> None:
    for _ in range(MOST):
        await arrives(house, foreign(account, uuid4().hex))

    elsewhere = foreign(f"{account}-2", uuid4().hex)
    await arrives(house, elsewhere)

    assert len(await kept(house, elsewhere)) == 1


async def test_messages_about_unknown_orders_are_never_kept_without_a_bound(
    house: House, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receive, "MOST_UNKNOWN_KEPT", MOST)
    messages = [unknown(account) for _ in range(MOST + 2)]
    for each in [*messages, messages[0]]:
        arrival = Arrival({}, b"signed", datetime.now(UTC))
        routed = await receive.receive(house.dependencies, each, arrival)
        assert routed.outcome is NotificationOutcome.UNKNOWN_REFERENCE
        assert not routed.acknowledged

    rows = [await kept(house, each) for each in messages]
    assert [len(row) for row in rows] == [1] * MOST + [0] * 2
    assert rows[0][0].repeats == 1
