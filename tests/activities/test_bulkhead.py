"""Steps within workflow tasks share their slots: whoever hangs holds a few of them and not all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.bulkhead import Bulkhead
from activities.errors import STILL_PENDING
from activities.provider_calls import MOST_AT_ONCE, ProviderActivities, Submission
from domain.checkout import Created
from domain.payment import Payment
from providers.registry import Registry
from storage.alarms import AlarmStore
from storage.database import Database
from storage.payments import PaymentStore
from tests.workflows.scripted import Fault, ScriptedProvider


@pytest.fixture
def steps(database: Database, provider: ScriptedProvider) -> ProviderActivities:
    return ProviderActivities(Registry([provider]), PaymentStore(database), AlarmStore(database))


@pytest.fixture
def order(recorded: Payment) -> Payment:
    return recorded.model_copy(update={"provider": "scripted"})


async def submit(steps: ProviderActivities, order: Payment, *, in_a_task: bool) -> Created:
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, is_local=in_a_task)
    created: Created = await environment.run(steps.create_checkout, Submission(payment=order))
    return created


@asynccontextmanager
async def hanging(
    steps: ProviderActivities, provider: ScriptedProvider, order: Payment
) -> AsyncIterator[None]:
    """As many submissions within tasks as may be, none of them answered while the block runs."""
    answers = asyncio.Event()
    provider.script("create", order.reference, *[Fault(gate=answers)] * MOST_AT_ONCE)
    async with asyncio.TaskGroup() as group:
        for _ in range(MOST_AT_ONCE):
            group.create_task(submit(steps, order, in_a_task=True))
        while provider.sent("create", order.reference) < MOST_AT_ONCE:  # noqa: ASYNC110
            await asyncio.sleep(0)
        try:
            yield
        finally:
            answers.set()


async def test_a_provider_that_hangs_is_not_called_from_ever_more_tasks(
    steps: ProviderActivities, provider: ScriptedProvider, order: Payment
) -> None:
    async with hanging(steps, provider, order):
        with pytest.raises(ApplicationError) as refused:
            await submit(steps, order, in_a_task=True)

    assert (refused.value.type, refused.value.non_retryable) == (STILL_PENDING, False)
    assert provider.sent("create", order.reference) == MOST_AT_ONCE
    await submit(steps, order, in_a_task=True)
    assert provider.sent("create", order.reference) == MOST_AT_ONCE + 1, "there is room again"


async def test_its_queue_goes_on(
    steps: ProviderActivities, provider: ScriptedProvider, order: Payment
) -> None:
    async with hanging(steps, provider, order):
        await submit(steps, order, in_a_task=False)

    assert provider.sent("create", order.reference) == MOST_AT_ONCE + 1


def test_others_have_room_until_all_together_have_too_much() -> None:
    bulkhead = Bulkhead(2, together=3)

    with ExitStack() as held:
        for name in ("a", "a", "b"):
            held.enter_context(bulkhead.place(name))
        with pytest.raises(ApplicationError):
            held.enter_context(bulkhead.place("c"))
    with bulkhead.place("c"), bulkhead.place("c"):
        pass
