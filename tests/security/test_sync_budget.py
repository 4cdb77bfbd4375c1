"""A merchant's commands never use up what Temporal lets a workflow take: operators need it too."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import httpx
import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from api.dependencies import Dependencies
from api.http.metrics import Metrics
from api.payments.eager_start import EagerStart
from api.workflow_calls import cancel_payment, create_payment, create_refund, sync_payment
from domain.errors import Conflict
from domain.identity import payment_workflow_id, refund_workflow_id
from domain.payment import Payment, PaymentStatus
from domain.refund import RefundStatus
from domain.report import RefundOutcome
from domain.resolution import ResolveAction
from providers.registry import Registry
from storage.database import Database
from tests.api.house import House, running, visitor
from tests.workflows.disputes import parked
from tests.workflows.scripted import Fault, unknown
from tests.workflows.shop import PaymentRun, Shop
from tests.workflows.stage import open_shop, open_temporal
from workflows.payment import PaymentOrder
from workflows.update_ids import SYNC_BUDGET, sync_id, sync_window

UPDATES, IN_FLIGHT = 12, 3
DAY = 24 * 3600.0
# Seconds of a payment's age at which a window has just begun and lasts two minutes more.
QUIET_AGE = 10_000.0


@dataclass
class Scarce:
    """A Temporal server that takes few updates a workflow, with the product's API in front."""

    shop: Shop
    dependencies: Dependencies

    async def api(self, payment: Payment) -> httpx.AsyncClient:
        """One more API process, for this payment's merchant."""
        key = await self.dependencies.stores.keys.create(payment.merchant_id, "test")
        return visitor(await running(replace(self.dependencies, metrics=Metrics())), key)

    async def updates(self, workflow_id: str) -> int:
        """How many updates the workflow has accepted so far."""
        history = await self.shop.client.get_workflow_handle(workflow_id).fetch_history()
        return sum(
            event.HasField("workflow_execution_update_accepted_event_attributes")
            for event in history.events
        )


@pytest.fixture(scope="module")
async def temporal() -> AsyncIterator[WorkflowEnvironment]:
    limits = (f"history.maxTotalUpdates={UPDATES}", f"history.maxInFlightUpdates={IN_FLIGHT}")
    async with open_temporal(*limits) as env:
        yield env


@pytest.fixture(scope="module")
async def scarce(
    temporal: WorkflowEnvironment, database: Database, house: House
) -> AsyncIterator[Scarce]:
    async with open_shop(temporal, database) as shop:
        dependencies = replace(
            house.dependencies,
            temporal=temporal.client,
            registry=Registry([shop.provider]),
            eager=EagerStart(),
        )
        yield Scarce(shop, dependencies)


def aged(order: PaymentOrder, seconds: float) -> PaymentOrder:
    created_at = order.payment.created_at - timedelta(seconds=seconds)
    payment = order.payment.model_copy(update={"created_at": created_at})
    return order.model_copy(update={"payment": payment})


def at_age(payment: Payment, seconds: float) -> datetime:
    return payment.created_at + timedelta(seconds=seconds)


# The rule, without a server


def test_a_payment_that_is_synced_every_second_never_exceeds_the_budget() -> None:
    born = datetime(2026, 1, 1, tzinfo=UTC)
    ids = {sync_id(born, born + timedelta(seconds=age)) for age in range(3 * 24 * 3600)}

    assert len(ids) < 410


@pytest.mark.parametrize("years", [1, 100, 7000])
def test_no_age_is_beyond_the_budget(years: int) -> None:
    assert sync_window(years * 366 * DAY) < SYNC_BUDGET


def test_windows_only_count_upwards_and_never_skip() -> None:
    ages = [step / 10 for step in range(40_000)]
    windows = [sync_window(age) for age in ages]

    assert windows[0] == 0
    assert {later - earlier for earlier, later in pairwise(windows)} == {0, 1}


@pytest.mark.parametrize("age", [0.0, 60.0, 249.0, 250.0, 900.0, 7200.0, 30 * DAY])
def test_a_window_is_five_seconds_or_a_fiftieth_of_the_age(age: float) -> None:
    longest = max(5.0, 1.03 * age / 50)

    assert sync_window(age + longest) > sync_window(age)
    assert sync_window(age + 2 * max(5.0, age / 50)) <= sync_window(age) + 2


def test_a_clock_that_is_behind_adds_no_window() -> None:
    assert {sync_window(-seconds) for seconds in (0.0, 0.1, 5.0, DAY)} == {0}


# On a real server that takes twelve updates a workflow, three at once


async def test_a_loop_of_sync_never_takes_the_operators_updates(scarce: Scarce) -> None:
    order = aged(await scarce.shop.order(), QUIET_AGE)
    run, payment = await parked(scarce.shop, order)
    api = await scarce.api(payment)

    for _ in range(5 * UPDATES):
        answer = await api.post(f"/v1/payments/{payment.id}/sync")
        assert (answer.status_code, answer.json()["status"]) == (200, "pending")

    assert (await scarce.shop.resolve(run, ResolveAction.CLOSE)).status is PaymentStatus.CLOSED


async def test_a_loop_of_cancel_never_takes_the_operators_updates(scarce: Scarce) -> None:
    run, payment = await parked(scarce.shop, await scarce.shop.order())
    api = await scarce.api(payment)

    for turn in range(5 * UPDATES):
        path, body = f"/v1/payments/{payment.id}/cancel", {"reason": f"turn {turn}"}
        answer = await api.post(path, json=body)
        assert (answer.status_code, answer.json()["status"]) == (200, "pending")
        assert answer.json()["attention"] == "amount_mismatch"

    assert await scarce.updates(run.id) == 2
    assert (await scarce.shop.resolve(run, ResolveAction.CLOSE)).status is PaymentStatus.CLOSED


async def test_a_repeated_cancel_never_answers_what_held_before_an_operator_decided(
    scarce: Scarce,
) -> None:
    run, payment = await parked(scarce.shop, await scarce.shop.order())
    api = await scarce.api(payment)
    told = scarce.shop.hangs(payment)
    first = await api.post(f"/v1/payments/{payment.id}/cancel")
    await scarce.shop.resolve(run, ResolveAction.CLOSE)

    again = await api.post(f"/v1/payments/{payment.id}/cancel")
    told.set()

    assert (first.json()["status"], again.json()["status"]) == ("pending", "closed")
    await run.result()


async def test_syncs_of_two_api_processes_never_query_twice_in_a_window(scarce: Scarce) -> None:
    order = aged(await scarce.shop.order(), QUIET_AGE)
    run, payment = await scarce.shop.pending(order)
    apis = [await scarce.api(payment) for _ in range(2)]

    answers = await asyncio.gather(
        *(api.post(f"/v1/payments/{payment.id}/sync") for api in apis for _ in range(10))
    )

    assert scarce.shop.provider.sent("query", payment.reference) == 1
    [synced_at] = {answer.json()["synced_at"] for answer in answers}
    assert datetime.fromisoformat(synced_at) > at_age(payment, QUIET_AGE)
    await scarce.shop.cancel(run)


async def test_a_cached_sync_never_hides_what_is_known_meanwhile(scarce: Scarce) -> None:
    order = aged(await scarce.shop.order(), QUIET_AGE)
    run, payment = await scarce.shop.pending(order)
    api = await scarce.api(payment)
    before = (await api.post(f"/v1/payments/{payment.id}/sync")).json()
    scarce.shop.provider.pay(payment.reference)
    await scarce.shop.notify(run, order)
    await run.result()

    after = (await api.post(f"/v1/payments/{payment.id}/sync")).json()

    assert (before["status"], before["synced_at"] is None) == ("pending", False)
    assert (after["status"], after["captured"]) == ("succeeded", payment.amount)


async def test_the_next_window_finds_money_whose_notification_was_lost(scarce: Scarce) -> None:
    run, payment = await scarce.shop.pending(await scarce.shop.order())
    await sync_payment(scarce.shop.client, payment, at_age(payment, 1))
    scarce.shop.provider.pay(payment.reference)

    cached = await sync_payment(scarce.shop.client, payment, at_age(payment, 4))
    fresh = await sync_payment(scarce.shop.client, payment, at_age(payment, 6))

    assert (cached.status, fresh.status) == (PaymentStatus.PENDING, PaymentStatus.SUCCEEDED)
    assert cached.synced_at is not None
    assert fresh.synced_at is not None
    assert cached.synced_at < fresh.synced_at
    await run.result()


async def _closed(client: Client, payment: Payment) -> PaymentStatus:
    return (await cancel_payment(client, payment.id, "gone")).status


async def test_syncs_at_a_slow_provider_never_keep_a_cancel_out(scarce: Scarce) -> None:
    run, payment = await scarce.shop.pending(await scarce.shop.order())
    answered = asyncio.Event()
    scarce.shop.provider.script("query", payment.reference, Fault(gate=answered))
    client = scarce.shop.client
    first = asyncio.create_task(sync_payment(client, payment, at_age(payment, 0)))
    await scarce.shop.sent("query", payment.reference)

    others = await asyncio.gather(
        *(sync_payment(client, payment, at_age(payment, 5.0 * turn)) for turn in range(1, 9)),
        return_exceptions=True,
    )
    cancelled = await _closed(client, payment)
    answered.set()

    assert [getattr(other, "code", None) for other in others] == ["sync_in_progress"] * 8
    assert cancelled is PaymentStatus.CLOSED
    await asyncio.gather(first, run.result())


async def test_a_sync_beside_one_without_an_answer_is_taken_on(scarce: Scarce) -> None:
    run, payment = await scarce.shop.pending(await scarce.shop.order())
    answered = asyncio.Event()
    scarce.shop.provider.script("query", payment.reference, Fault(gate=answered))
    client, api = scarce.shop.client, await scarce.api(payment)
    first = asyncio.create_task(sync_payment(client, payment, at_age(payment, 500)))
    await scarce.shop.sent("query", payment.reference)

    answer = await api.post(f"/v1/payments/{payment.id}/sync")
    answered.set()

    assert (answer.status_code, answer.json()["synced_at"]) == (202, None)
    assert (await first).synced_at is not None
    await scarce.shop.cancel(run)


async def test_a_query_that_failed_never_blocks_the_next(scarce: Scarce) -> None:
    run, payment = await scarce.shop.pending(await scarce.shop.order())
    scarce.shop.provider.script("query", payment.reference, *[Fault(error=unknown())] * 2)
    client = scarce.shop.client

    assert (await sync_payment(client, payment, at_age(payment, 0))).synced_at is not None
    assert (await sync_payment(client, payment, at_age(payment, 5))).synced_at is not None
    await scarce.shop.cancel(run)


async def _used_up(scarce: Scarce) -> tuple[PaymentRun, Payment]:
    run, payment = await parked(scarce.shop, await scarce.shop.order())
    for _ in range(UPDATES - await scarce.updates(run.id)):
        await run.execute_update("sync")
    return run, payment


@pytest.mark.parametrize("command", ["sync", "cancel"])
async def test_the_limit_itself_never_answers_that_temporal_is_away(
    scarce: Scarce, command: str
) -> None:
    run, payment = await _used_up(scarce)
    api = await scarce.api(payment)

    answer = await api.post(f"/v1/payments/{payment.id}/{command}")

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (409, "command_limit_reached")
    assert (problem["retryable"], "GET" in problem["detail"]) == (False, True)
    await run.terminate("no update is left to end it")


async def test_repeats_of_a_create_never_add_an_update(scarce: Scarce) -> None:
    order = await scarce.shop.order()
    other = order.payment.model_copy(update={"request_hash": "another body"})
    client = scarce.shop.client
    for _ in range(2 * UPDATES):
        await create_payment(client, order)
        with pytest.raises(Conflict):
            await create_payment(client, order.model_copy(update={"payment": other}))

    assert await scarce.updates(payment_workflow_id(order.payment.id)) == 1
    assert await _closed(client, order.payment) is PaymentStatus.CLOSED


async def test_repeats_of_a_refund_never_add_an_update(scarce: Scarce) -> None:
    payment = await scarce.shop.paid(await scarce.shop.order())
    order = scarce.shop.refund_order(payment, 500)
    other = order.refund.model_copy(update={"request_hash": "another body"})
    scarce.shop.provider.refund_states[order.refund.reference] = RefundOutcome.PENDING
    client = scarce.shop.client
    for _ in range(2 * UPDATES):
        assert (await create_refund(client, order)).status is RefundStatus.PENDING
        with pytest.raises(Conflict):
            await create_refund(client, order.model_copy(update={"refund": other}))
    scarce.shop.provider.refund_states[order.refund.reference] = RefundOutcome.SUCCEEDED

    assert await scarce.updates(refund_workflow_id(order.refund.id)) == 1
    await scarce.shop.refunded(payment, 500)
