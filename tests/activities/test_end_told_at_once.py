"""An end written down and told by one step, whose first half counts without the second."""

import asyncio
from uuid import uuid4

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.fast_path import Bounded, Ended, FastPathActivities
from activities.webhooks import Told, Tried, WebhookActivities
from domain.event import DeliveryStatus
from domain.identity import event_id
from domain.payment import Payment, PaymentStatus
from storage.database import Database
from storage.events import EventStore
from storage.payments import PaymentStore
from tests.domain.making import IDENTITY, report
from tests.workflows.merchants import ListeningMerchants
from tests.workflows.stores import Outages
from webhooks.answers import WebhookAnswer
from webhooks.sender import WebhookFailed


def succeeded(recorded: Payment, number: str | None = None) -> Payment:
    """Paid, under this number of the provider's or one of its own."""
    number = number or recorded.id.hex
    return recorded.apply(report(reference=recorded.reference, provider_reference=number))


async def end(fast_path: FastPathActivities, order: Payment, first: float = 10) -> Ended:
    bounded = Bounded(payment=order, first=first)
    ended: Ended = await ActivityEnvironment().run(fast_path.finalise_and_tell, bounded)
    return ended


async def test_the_end_is_written_down_and_notified(
    fast_path: FastPathActivities, merchants: ListeningMerchants, recorded: Payment
) -> None:
    merchants.answers[recorded.id] = [WebhookAnswer(status=200, decision="refund", reason="gone")]

    ended = await end(fast_path, succeeded(recorded))

    assert ended.settled.payment.status is PaymentStatus.SUCCEEDED
    vetoed = Told(delivery=DeliveryStatus.DELIVERED, refund=True, reason="gone")
    assert ended.tried == Tried(told=vetoed)
    assert merchants.heard(recorded) == ["payment.succeeded"]


async def test_a_repeat_changes_nothing_sends_nothing_and_says_the_same(
    fast_path: FastPathActivities, merchants: ListeningMerchants, recorded: Payment
) -> None:
    first = await end(fast_path, succeeded(recorded))

    assert await end(fast_path, succeeded(recorded)) == first
    assert merchants.heard(recorded) == ["payment.succeeded"]


@pytest.mark.parametrize(
    ("failed", "tried"),
    [
        (WebhookFailed("503", status=503), Tried(failed=True)),
        (WebhookFailed("429", status=429, retry_after=7), Tried(failed=True, retry_after=7)),
        (WebhookFailed("410", status=410, gone=True), Tried(failed=True, gone=True)),
    ],
    ids=["down", "busy", "gone"],
)
async def test_an_endpoint_that_fails_takes_nothing_from_the_end(
    fast_path: FastPathActivities,
    merchants: ListeningMerchants,
    database: Database,
    recorded: Payment,
    failed: WebhookFailed,
    tried: Tried,
) -> None:
    merchants.answers[recorded.id] = [failed]

    ended = await end(fast_path, succeeded(recorded))

    assert ended.tried == tried
    assert ended.settled.payment.status is PaymentStatus.SUCCEEDED
    assert await PaymentStore(database).get(recorded.id) == ended.settled.payment
    event = await EventStore(database).get(event_id(recorded.id, "succeeded"))
    assert event is not None
    assert (event.delivery, event.attempts) == (DeliveryStatus.WAITING, 1)


async def test_an_endpoint_that_was_slow_of_late_is_left_to_the_queue(
    fast_path: FastPathActivities,
    webhooks: WebhookActivities,
    merchants: ListeningMerchants,
    recorded: Payment,
) -> None:
    webhooks._avoid(recorded.merchant_id)  # noqa: SLF001 - as after a slow answer

    ended = await end(fast_path, succeeded(recorded))

    assert ended.tried == Tried()
    assert ended.settled.payment.status is PaymentStatus.SUCCEEDED
    assert merchants.heard(recorded) == []


async def test_a_duplicate_is_not_notified_of_before_its_money_is_on_its_way_back(
    fast_path: FastPathActivities,
    merchants: ListeningMerchants,
    database: Database,
    recorded: Payment,
) -> None:
    twin = recorded.model_copy(
        update={"id": IDENTITY.payment_id(recorded.merchant_id, "twin"), "idempotency_key": "twin"}
    )
    await PaymentStore(database).record(twin)
    await end(fast_path, succeeded(recorded))

    ended = await end(fast_path, succeeded(twin))

    assert (ended.settled.payment.duplicate, ended.tried) == (True, None)
    assert merchants.heard(twin) == []


async def test_what_the_database_rejects_is_notified_to_nobody(
    fast_path: FastPathActivities,
    merchants: ListeningMerchants,
    database: Database,
    recorded: Payment,
) -> None:
    other = recorded.model_copy(
        update={
            "id": IDENTITY.payment_id(recorded.merchant_id, "other"),
            "idempotency_key": "other",
            "order_no": uuid4().hex,
        }
    )
    await PaymentStore(database).record(other)
    number = uuid4().hex
    await end(fast_path, succeeded(recorded, number))

    with pytest.raises(ApplicationError) as refused:
        await end(fast_path, succeeded(other, number))

    assert refused.value.non_retryable
    row = await PaymentStore(database).get(other.id)
    assert row is not None
    assert row.status is PaymentStatus.PENDING
    assert merchants.heard(other) == []


async def test_an_end_that_takes_too_long_to_write_down_is_not_notified(
    fast_path: FastPathActivities,
    merchants: ListeningMerchants,
    outages: Outages,
    recorded: Payment,
) -> None:
    outages.script("finalise", recorded.id, asyncio.Event())

    with pytest.raises(TimeoutError):
        await end(fast_path, succeeded(recorded), first=0.05)

    assert merchants.heard(recorded) == []


async def test_a_payment_that_has_not_ended_is_not_notified(
    fast_path: FastPathActivities, merchants: ListeningMerchants, recorded: Payment
) -> None:
    assert (await end(fast_path, recorded)).tried is None
    assert merchants.heard(recorded) == []
