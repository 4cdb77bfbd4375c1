"""The end written down and told in one step: what of it counts where the other half fails."""

from uuid import uuid4

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.ends import EndActivities, Ended
from activities.payments import PaymentActivities
from activities.webhooks import Told, Tried, WebhookActivities
from domain.event import DeliveryStatus
from domain.identity import event_id, payment_id
from domain.payment import Payment, PaymentStatus
from storage.database import Database
from storage.events import EventStore
from storage.payments import PaymentStore
from tests.domain.making import report
from tests.workflows.merchants import ListeningMerchants
from webhooks.answers import WebhookAnswer
from webhooks.sender import WebhookFailed


@pytest.fixture
def merchants() -> ListeningMerchants:
    return ListeningMerchants()


@pytest.fixture
def webhooks(database: Database, merchants: ListeningMerchants) -> WebhookActivities:
    return WebhookActivities(
        EventStore(database),
        merchants,  # type: ignore[arg-type] # a merchant, not a sender to one
    )


@pytest.fixture
def steps(database: Database, webhooks: WebhookActivities) -> EndActivities:
    return EndActivities(PaymentActivities(PaymentStore(database)), webhooks)


def succeeded(recorded: Payment, number: str | None = None) -> Payment:
    """Paid, under this number of the provider's or one of its own."""
    number = number or recorded.id.hex
    return recorded.apply(report(reference=recorded.reference, provider_reference=number))


async def end(steps: EndActivities, payment: Payment) -> Ended:
    ended: Ended = await ActivityEnvironment().run(steps.finalise_and_tell, payment)
    return ended


async def test_the_end_is_written_down_and_told(
    steps: EndActivities, merchants: ListeningMerchants, recorded: Payment
) -> None:
    merchants.answers[recorded.id] = [WebhookAnswer(status=200, decision="refund", reason="gone")]

    ended = await end(steps, succeeded(recorded))

    assert ended.settled.payment.status is PaymentStatus.SUCCEEDED
    vetoed = Told(delivery=DeliveryStatus.DELIVERED, refund=True, reason="gone")
    assert ended.tried == Tried(told=vetoed)
    assert merchants.heard(recorded) == ["payment.succeeded"]


async def test_a_repeat_changes_nothing_tells_nothing_and_says_the_same(
    steps: EndActivities, merchants: ListeningMerchants, recorded: Payment
) -> None:
    first = await end(steps, succeeded(recorded))

    assert await end(steps, succeeded(recorded)) == first
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
    steps: EndActivities,
    merchants: ListeningMerchants,
    database: Database,
    recorded: Payment,
    failed: WebhookFailed,
    tried: Tried,
) -> None:
    merchants.answers[recorded.id] = [failed]

    ended = await end(steps, succeeded(recorded))

    assert ended.tried == tried
    stored = await PaymentStore(database).get(recorded.id)
    assert stored == ended.settled.payment
    assert stored.status is PaymentStatus.SUCCEEDED
    event = await EventStore(database).get(event_id(recorded.id, "succeeded"))
    assert event is not None
    assert (event.delivery, event.attempts) == (DeliveryStatus.WAITING, 1)


async def test_an_endpoint_that_was_slow_of_late_is_left_to_the_queue(
    steps: EndActivities,
    webhooks: WebhookActivities,
    merchants: ListeningMerchants,
    recorded: Payment,
) -> None:
    webhooks._avoid(recorded.merchant_id)  # noqa: SLF001 - as after a slow answer

    ended = await end(steps, succeeded(recorded))

    assert ended.tried == Tried()
    assert ended.settled.payment.status is PaymentStatus.SUCCEEDED
    assert merchants.heard(recorded) == []


async def test_a_duplicate_is_not_told_of_before_its_money_is_on_its_way_back(
    steps: EndActivities, merchants: ListeningMerchants, database: Database, recorded: Payment
) -> None:
    twin = recorded.model_copy(
        update={"id": payment_id(recorded.merchant_id, "twin"), "idempotency_key": "twin"}
    )
    await PaymentStore(database).record(twin)
    await end(steps, succeeded(recorded))

    ended = await end(steps, succeeded(twin))

    assert (ended.settled.payment.duplicate, ended.tried) == (True, None)
    assert merchants.heard(twin) == []


async def test_what_our_books_refuse_is_told_to_nobody(
    steps: EndActivities, merchants: ListeningMerchants, database: Database, recorded: Payment
) -> None:
    other = recorded.model_copy(
        update={
            "id": payment_id(recorded.merchant_id, "other"),
            "idempotency_key": "other",
            "order_no": uuid4().hex,
        }
    )
    await PaymentStore(database).record(other)
    number = uuid4().hex
    await end(steps, succeeded(recorded, number))

    with pytest.raises(ApplicationError) as refused:
        await end(steps, succeeded(other, number))

    assert refused.value.non_retryable
    stored = await PaymentStore(database).get(other.id)
    assert stored is not None
    assert stored.status is PaymentStatus.PENDING
    assert merchants.heard(other) == []


async def test_a_payment_that_has_not_ended_is_not_told(
    steps: EndActivities, merchants: ListeningMerchants, recorded: Payment
) -> None:
    assert (await end(steps, recorded)).tried is None
    assert merchants.heard(recorded) == []
