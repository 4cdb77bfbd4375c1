"""A merchant's endpoint that hangs holds a few of the queue's places, never all of them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities import webhooks as limits
from activities.errors import STILL_PENDING
from activities.webhooks import WEBHOOK_FAILED, WebhookActivities
from domain.event import DeliveryStatus
from domain.payment import Payment
from domain.report import Attention
from engine.workers import WEBHOOK_SLOTS
from storage.database import Database
from storage.payments import PaymentStore
from tests.activities.making import delivering_to, flagged, new_merchant, ordered_by
from tests.workflows.merchants import ListeningMerchants
from webhooks.answers import WebhookAnswer
from webhooks.sender import WebhookFailed

Announced = Callable[[Payment], Awaitable[UUID]]
POLICY = RetryPolicy(
    initial_interval=timedelta(seconds=5),
    backoff_coefficient=2.5,
    maximum_interval=timedelta(hours=1),
)


@pytest.fixture
def merchants() -> ListeningMerchants:
    return ListeningMerchants()


@pytest.fixture
def steps(database: Database, merchants: ListeningMerchants) -> WebhookActivities:
    return delivering_to(merchants, database)


@pytest.fixture
def announced(database: Database) -> Announced:
    """Flags the payment; returns the event, which waits to be delivered."""
    return partial(flagged, database, attention=Attention.OUTCOME_UNKNOWN)


async def recorded(database: Database, merchant_id: str) -> Payment:
    return await PaymentStore(database).record(ordered_by(merchant_id))


async def deliver(steps: WebhookActivities, event: UUID, attempt: int = 1) -> DeliveryStatus:
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, attempt=attempt, retry_policy=POLICY)
    told = await environment.run(steps.deliver_event, event)
    delivery: DeliveryStatus = told.delivery
    return delivery


async def refused(steps: WebhookActivities, event: UUID, attempt: int = 1) -> ApplicationError:
    with pytest.raises(ApplicationError) as error:
        await deliver(steps, event, attempt)
    return error.value


async def wait_of(steps: WebhookActivities, event: UUID, attempt: int) -> float:
    delay = (await refused(steps, event, attempt)).next_retry_delay
    assert delay is not None
    return delay.total_seconds()


@asynccontextmanager
async def hanging(
    steps: WebhookActivities,
    merchants: ListeningMerchants,
    announced: Announced,
    payments: list[Payment],
) -> AsyncIterator[None]:
    """Deliveries of these payments' events that are not answered while the block runs."""
    answered = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for each in payments:
            merchants.answers[each.id] = [answered]
            group.create_task(deliver(steps, await announced(each)))
        for each in payments:
            await merchants.hear(each, "payment.attention")
        try:
            yield
        finally:
            answered.set()


async def test_one_hanging_merchant_never_takes_more_than_its_places(
    database: Database,
    steps: WebhookActivities,
    merchants: ListeningMerchants,
    announced: Announced,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "AT_ONCE_SECONDS", 60.0)
    name, other = await new_merchant(database), await new_merchant(database)
    payments = [await recorded(database, name) for _ in range(limits.MOST_QUEUED + 1)]
    more = await announced(payments.pop())
    others = await announced(await recorded(database, other))

    async with hanging(steps, merchants, announced, payments):
        assert (await refused(steps, more)).type == STILL_PENDING
        assert await deliver(steps, others) is DeliveryStatus.DELIVERED

    assert await deliver(steps, more) is DeliveryStatus.DELIVERED


async def test_known_slow_merchants_never_take_more_than_their_share_together(
    database: Database,
    steps: WebhookActivities,
    merchants: ListeningMerchants,
    announced: Announced,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "AT_ONCE_SECONDS", 60.0)
    payments: list[Payment] = []
    for _ in range(limits.MOST_SLOW_TOGETHER // limits.MOST_SLOW):
        name = await new_merchant(database)
        steps._avoid(name)  # noqa: SLF001 - as after a slow answer
        payments += [await recorded(database, name) for _ in range(limits.MOST_SLOW)]
    known = await announced(await recorded(database, name))
    slow, well = await new_merchant(database), await new_merchant(database)
    steps._avoid(slow)  # noqa: SLF001
    others = await announced(await recorded(database, well))
    last = await announced(await recorded(database, slow))

    async with hanging(steps, merchants, announced, payments):
        assert (await refused(steps, known)).type == STILL_PENDING
        assert (await refused(steps, last)).type == STILL_PENDING
        assert await deliver(steps, others) is DeliveryStatus.DELIVERED

    assert await deliver(steps, last) is DeliveryStatus.DELIVERED


async def test_a_merchant_that_hangs_in_the_queue_is_never_taken_for_a_quick_one(
    database: Database,
    steps: WebhookActivities,
    merchants: ListeningMerchants,
    announced: Announced,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "AT_ONCE_SECONDS", 0.0)
    name = await new_merchant(database)
    payments = [await recorded(database, name) for _ in range(limits.MOST_SLOW + 1)]
    more = await announced(payments.pop())

    async with hanging(steps, merchants, announced, payments):
        async with asyncio.timeout(10):
            while name not in steps._avoided_until:  # noqa: SLF001, ASYNC110
                await asyncio.sleep(0.01)
        assert await deliver(steps, more) is DeliveryStatus.DELIVERED, "none was known as slow"

    payments = [await recorded(database, name) for _ in range(limits.MOST_SLOW + 1)]
    more = await announced(payments.pop())
    async with hanging(steps, merchants, announced, payments):
        assert (await refused(steps, more)).type == STILL_PENDING


async def test_who_waits_for_a_place_never_waits_by_the_curve_of_failures(
    database: Database,
    steps: WebhookActivities,
    merchants: ListeningMerchants,
    announced: Announced,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "MOST_QUEUED", 1)
    monkeypatch.setattr(limits, "AT_ONCE_SECONDS", 0.5)
    steps = delivering_to(merchants, database)
    name = await new_merchant(database)
    held, waits = await recorded(database, name), await recorded(database, name)
    event = await announced(waits)
    async with hanging(steps, merchants, announced, [held]):
        delays = [await wait_of(steps, event, attempt) for attempt in (1, 5, 500)]
        assert 1 < delays[0] < delays[1] < delays[2] < 6, "a turn each, whatever Temporal counts"
        monkeypatch.setattr(limits, "LONGEST_WAIT_FOR_A_PLACE", 1.0)
        assert 0.5 <= await wait_of(steps, event, 6) <= 1

    # Its first real failure, at the sixth attempt, is followed by the policy's first wait.
    merchants.answers[waits.id] = [WebhookFailed("The endpoint answered 503.", status=503)] * 2
    first = await refused(steps, event, 6)
    second = await refused(steps, event, 7)
    assert (first.type, first.next_retry_delay) == (WEBHOOK_FAILED, timedelta(seconds=5))
    assert second.next_retry_delay == timedelta(seconds=12.5)
    merchants.answers[waits.id] = [WebhookAnswer(status=200)]
    assert await deliver(steps, event, 8) is DeliveryStatus.DELIVERED


async def test_a_failure_without_waiting_keeps_the_policys_own_curve(
    database: Database,
    steps: WebhookActivities,
    merchants: ListeningMerchants,
    announced: Announced,
) -> None:
    fails = await recorded(database, await new_merchant(database))
    event = await announced(fails)
    merchants.answers[fails.id] = [WebhookFailed("The endpoint answered 503.", status=503)] * 2
    for attempt in (1, 2):
        assert (await refused(steps, event, attempt)).next_retry_delay is None


@pytest.mark.parametrize("named", [0.001, 1.0, 4.0])
async def test_a_failing_endpoint_never_shortens_the_wait_for_its_next_try(
    database: Database,
    steps: WebhookActivities,
    merchants: ListeningMerchants,
    announced: Announced,
    named: float,
) -> None:
    fails = await recorded(database, await new_merchant(database))
    event = await announced(fails)
    failure = WebhookFailed("The endpoint answered 503.", status=503, retry_after=named)
    merchants.answers[fails.id] = [failure] * 3
    # None is the policy's own wait; what waited for a place before has the same curve.
    assert (await refused(steps, event, 1)).next_retry_delay is None
    assert (await refused(steps, event, 2)).next_retry_delay is None
    assert await wait_of(steps, event, 9) == 5 * 2.5**2


async def test_a_failing_endpoint_may_ask_for_a_longer_wait(
    database: Database,
    steps: WebhookActivities,
    merchants: ListeningMerchants,
    announced: Announced,
) -> None:
    fails = await recorded(database, await new_merchant(database))
    event = await announced(fails)
    failure = WebhookFailed("The endpoint answered 503.", status=503, retry_after=6.0)
    merchants.answers[fails.id] = [failure] * 2
    assert await wait_of(steps, event, 1) == 6
    assert (await refused(steps, event, 2)).next_retry_delay is None, "12.5 seconds are longer"


def test_the_queue_has_places_left_when_hanging_merchants_hold_theirs() -> None:
    assert limits.MOST_SLOW <= limits.MOST_QUEUED < limits.MOST_SLOW_TOGETHER
    assert limits.MOST_SLOW_TOGETHER + 3 * limits.MOST_QUEUED < WEBHOOK_SLOTS
