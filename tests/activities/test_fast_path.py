"""Two steps as one: what the first of them did counts, however the second ends."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.fast_path import NOT_SENT, Bounded, Ended, FastPathActivities, Placed
from activities.payments import PaymentActivities
from activities.provider_calls import ProviderActivities
from activities.webhooks import Told, Tried, WebhookActivities
from domain.checkout import Checkout, CheckoutKind, Created
from domain.event import DeliveryStatus
from domain.identity import event_id, payment_id
from domain.payment import Channel, Payer, Payment, PaymentStatus
from domain.report import Outcome
from providers.registry import Registry
from storage.database import Database
from storage.events import EventStore
from storage.payments import PaymentStore
from tests.domain.making import report
from tests.workflows.merchants import ListeningMerchants
from tests.workflows.scripted import Fault, ScriptedProvider, rejected, unknown
from tests.workflows.stores import Outages, ShakyPayments
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
def provider() -> ScriptedProvider:
    return ScriptedProvider()


@pytest.fixture
def outages() -> Outages:
    return Outages()


@pytest.fixture
def steps(
    database: Database, webhooks: WebhookActivities, provider: ScriptedProvider, outages: Outages
) -> FastPathActivities:
    payments = ShakyPayments(database, outages)
    providers = ProviderActivities(Registry([provider]), payments)
    return FastPathActivities(PaymentActivities(payments), providers, webhooks)


@pytest.fixture
def order(ordered: Payment) -> Payment:
    return ordered.model_copy(
        update={"provider": "scripted", "payer": Payer(client_ip="203.0.113.7")}
    )


async def place(steps: FastPathActivities, order: Payment, within: float = 10) -> Placed:
    bounded = Bounded(payment=order, within=within)
    placed: Placed = await ActivityEnvironment().run(steps.record_and_submit, bounded)
    return placed


async def stored(database: Database, order: Payment) -> Payment | None:
    return await PaymentStore(database).get(order.id)


async def test_the_order_is_written_down_and_submitted(
    steps: FastPathActivities, provider: ScriptedProvider, database: Database, order: Payment
) -> None:
    placed = await place(steps, order)

    checkout = Checkout(kind=CheckoutKind.QR, value=f"qr:{order.reference}")
    assert placed.created == Created(checkout=checkout)
    assert (placed.resumed, placed.rejected) == (False, None)
    row = await stored(database, order)
    assert row is not None
    assert row.checkout == checkout
    # What the payer showed is for the provider alone.
    assert placed.payment.payer == Payer()
    assert provider.sent("query", order.reference) == 0


async def test_a_definite_no_leaves_the_order_in_our_books(
    steps: FastPathActivities, provider: ScriptedProvider, database: Database, order: Payment
) -> None:
    provider.script("create", order.reference, Fault(error=rejected("NO")))

    placed = await place(steps, order)

    assert placed.rejected is not None
    assert (placed.rejected.provider_code, placed.created) == ("NO", None)
    assert await stored(database, order) == placed.payment


@pytest.mark.parametrize(
    "fault",
    [Fault(error=unknown(), executed=True), Fault(hang=True, executed=True)],
    ids=["lost", "late"],
)
async def test_an_answer_that_does_not_come_is_neither_yes_nor_no(
    steps: FastPathActivities,
    provider: ScriptedProvider,
    database: Database,
    order: Payment,
    fault: Fault,
) -> None:
    provider.script("create", order.reference, fault)

    placed = await place(steps, order, within=0.2)

    assert (placed.maybe_sent, placed.created, placed.rejected) == (True, None, None)
    assert await stored(database, order) == placed.payment


async def test_an_order_that_another_request_wrote_down_is_asked_about_first(
    steps: FastPathActivities, provider: ScriptedProvider, order: Payment
) -> None:
    barcode = order.model_copy(update={"channel": Channel.BARCODE})
    await place(steps, barcode)
    provider.pay(order.reference)
    later = barcode.model_copy(update={"created_at": barcode.created_at + timedelta(seconds=1)})

    placed = await place(steps, later)

    assert placed.resumed
    assert placed.created is not None
    assert placed.created.report is not None
    assert placed.created.report.outcome is Outcome.PAID
    assert placed.payment.created_at == barcode.created_at
    assert provider.calls == [("create", order.reference), ("query", order.reference)]


async def test_nothing_is_sent_for_an_order_that_our_books_refuse(
    steps: FastPathActivities, provider: ScriptedProvider, order: Payment
) -> None:
    await place(steps, order)
    other = order.model_copy(update={"request_hash": "another"})

    with pytest.raises(ApplicationError) as refused:
        await place(steps, other)

    assert (refused.value.type, refused.value.non_retryable) == ("idempotency_key_reused", True)
    assert provider.sent("create", order.reference) == 1


async def test_nothing_is_sent_where_the_order_cannot_be_written_down(
    steps: FastPathActivities, provider: ScriptedProvider, outages: Outages, order: Payment
) -> None:
    outages.down("record", order.id, 1)

    with pytest.raises(ApplicationError) as refused:
        await place(steps, order)

    assert (refused.value.type, refused.value.non_retryable) == (NOT_SENT, False)
    assert provider.calls == []


async def test_nothing_is_sent_for_a_payment_that_has_ended(
    steps: FastPathActivities, provider: ScriptedProvider, order: Payment, database: Database
) -> None:
    await PaymentStore(database).record(order)
    await end(steps, order.model_copy(update={"status": PaymentStatus.CLOSED}))

    placed = await place(steps, order)

    assert (placed.payment.status, placed.created) == (PaymentStatus.CLOSED, None)
    assert provider.calls == []


def succeeded(recorded: Payment, number: str | None = None) -> Payment:
    """Paid, under this number of the provider's or one of its own."""
    number = number or recorded.id.hex
    return recorded.apply(report(reference=recorded.reference, provider_reference=number))


async def end(steps: FastPathActivities, order: Payment, within: float = 10) -> Ended:
    bounded = Bounded(payment=order, within=within)
    ended: Ended = await ActivityEnvironment().run(steps.finalise_and_tell, bounded)
    return ended


async def test_the_end_is_written_down_and_told(
    steps: FastPathActivities, merchants: ListeningMerchants, recorded: Payment
) -> None:
    merchants.answers[recorded.id] = [WebhookAnswer(status=200, decision="refund", reason="gone")]

    ended = await end(steps, succeeded(recorded))

    assert ended.settled.payment.status is PaymentStatus.SUCCEEDED
    vetoed = Told(delivery=DeliveryStatus.DELIVERED, refund=True, reason="gone")
    assert ended.tried == Tried(told=vetoed)
    assert merchants.heard(recorded) == ["payment.succeeded"]


async def test_a_repeat_changes_nothing_tells_nothing_and_says_the_same(
    steps: FastPathActivities, merchants: ListeningMerchants, recorded: Payment
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
    steps: FastPathActivities,
    merchants: ListeningMerchants,
    database: Database,
    recorded: Payment,
    failed: WebhookFailed,
    tried: Tried,
) -> None:
    merchants.answers[recorded.id] = [failed]

    ended = await end(steps, succeeded(recorded))

    assert ended.tried == tried
    assert ended.settled.payment.status is PaymentStatus.SUCCEEDED
    assert await stored(database, recorded) == ended.settled.payment
    event = await EventStore(database).get(event_id(recorded.id, "succeeded"))
    assert event is not None
    assert (event.delivery, event.attempts) == (DeliveryStatus.WAITING, 1)


async def test_an_endpoint_that_was_slow_of_late_is_left_to_the_queue(
    steps: FastPathActivities,
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
    steps: FastPathActivities, merchants: ListeningMerchants, database: Database, recorded: Payment
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
    steps: FastPathActivities, merchants: ListeningMerchants, database: Database, recorded: Payment
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
    row = await stored(database, other)
    assert row is not None
    assert row.status is PaymentStatus.PENDING
    assert merchants.heard(other) == []


async def test_an_end_that_takes_too_long_to_write_down_is_not_told(
    steps: FastPathActivities,
    merchants: ListeningMerchants,
    outages: Outages,
    recorded: Payment,
) -> None:
    outages.script("finalise", recorded.id, asyncio.Event())

    with pytest.raises(TimeoutError):
        await end(steps, succeeded(recorded), within=0.05)

    assert merchants.heard(recorded) == []


async def test_a_payment_that_has_not_ended_is_not_told(
    steps: FastPathActivities, merchants: ListeningMerchants, recorded: Payment
) -> None:
    assert (await end(steps, recorded)).tried is None
    assert merchants.heard(recorded) == []
