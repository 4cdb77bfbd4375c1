"""One merchant's rush does not make another wait: the server's settings and our starts together."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
import pytest_asyncio
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from cli.embedded.temporal import BINARY, DYNAMIC_CONFIG
from tests.workflows.shop import Shop, named
from workflows import search_attributes
from workflows.starting import LONGEST_KEY, payment_options

RUNS, STEPS = "runs", "steps"
RUSH = 30


@workflow.defn
class Step:
    """One step on a queue where all wait for their turn."""

    @workflow.run
    async def run(self, merchant: str) -> None:
        """Take it."""
        await workflow.execute_activity(
            "take_turn",
            merchant,
            task_queue=STEPS,
            start_to_close_timeout=timedelta(seconds=10),
        )


@pytest_asyncio.fixture
async def client() -> AsyncIterator[Client]:
    """Of a server with the product's own settings."""
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(BINARY),
        dev_server_extra_args=[
            part for value in DYNAMIC_CONFIG for part in ("--dynamic-config-value", value)
        ],
        search_attributes=search_attributes.ALL,
    ) as env:
        yield env.client


async def all_wait(client: Client, runs: int) -> None:
    """Until so many steps are in the queue."""
    async with asyncio.timeout(30):
        while True:
            pending = 0
            async for run in client.list_workflows("WorkflowType = 'Step'"):
                described = await client.get_workflow_handle(run.id).describe()
                pending += len(described.raw_description.pending_activities)
            if pending == runs:
                return
            await asyncio.sleep(0.1)


async def test_who_asks_once_is_not_behind_who_asks_thirty_times(
    client: Client, shop: Shop
) -> None:
    usual = payment_options(await shop.order())
    turns: list[str] = []
    over = asyncio.Event()

    @activity.defn(name="take_turn")
    async def note_turn(merchant: str) -> None:
        turns.append(merchant)
        if len(turns) == RUSH + 2:
            over.set()

    async with Worker(
        client, task_queue=RUNS, workflows=[Step], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        for merchant in ["loud"] * RUSH + ["quiet"] * 2:
            options = replace(usual, id=uuid4().hex, merchant_id=merchant, task_queue=RUNS)
            await client.start_workflow(Step.run, merchant, **named(options))
        await all_wait(client, RUSH + 2)
        async with Worker(
            client, task_queue=STEPS, activities=[note_turn], max_concurrent_activities=1
        ):
            await asyncio.wait_for(over.wait(), 30)

    last = max(turn for turn, merchant in enumerate(turns) if merchant == "quiet")
    assert last < RUSH / 2


@pytest.mark.parametrize("name", ["m" * 100, "茶" * 40])
async def test_a_long_name_is_a_key_that_temporal_takes(shop: Shop, name: str) -> None:
    options = replace(payment_options(await shop.order()), merchant_id=name)
    key = options.arguments["priority"].fairness_key

    assert key is not None
    assert name.startswith(key)
    assert LONGEST_KEY - 3 < len(key.encode()) <= LONGEST_KEY
