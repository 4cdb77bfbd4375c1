"""Builds whose workers are gone: what becomes of the sweep, of a promotion and of what they began.

The upgrade itself, with processes of two builds: tests/stack/test_builds.py.
"""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from temporalio import activity
from temporalio.client import WorkflowExecutionStatus
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from activities.sweep import Findings, Page, PaymentFinding, SweepActivities
from activities.workflow_tasks import stuck_task
from engine.builds import promote, read_builds
from engine.polling import polled_by
from storage.database import Database
from tests.verification.crash.builds import Release, client_of
from tests.workflows.scripted import ScriptedProvider
from tests.workflows.shop import BRISK, PaymentRun, eventually
from tests.workflows.stage import open_temporal
from workflows.policies import RUN_QUEUES, SWEEP_QUEUE
from workflows.sweep import SweepReport, SweepWorkflow


@pytest.fixture(scope="module")
async def temporal() -> AsyncIterator[WorkflowEnvironment]:
    """A server of these tests' own: which build is current belongs to the whole namespace."""
    async with open_temporal() as env:
        yield env


class Releases:
    """Two builds of one test."""

    def __init__(self, env: WorkflowEnvironment, database: Database) -> None:
        provider, test = ScriptedProvider(), uuid4().hex[:6]
        self.old = Release(f"old-{test}", env, database, provider)
        self.new = Release(f"new-{test}", env, database, provider)
        self.client = client_of(env.client, None)

    async def noted(self, release: Release) -> None:
        """Temporal has noted that a worker of the release polls."""

        async def is_noted() -> bool:
            return release.build_id in {
                each.id for each in await read_builds(self.client) if each.polled
            }

        await eventually(is_noted)


@pytest.fixture
def releases(temporal: WorkflowEnvironment, database: Database) -> Releases:
    return Releases(temporal, database)


async def test_a_build_whose_workers_are_gone_does_not_become_current(
    releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = releases.old, releases.new
    async with old.running():
        async with new.running():
            await releases.noted(new)
            await promote(releases.client, old.build_id or "")
        # As when the last poll was long ago: Temporal lists a dead worker for minutes.
        monkeypatch.setattr("engine.builds.POLLED_WITHIN", timedelta(0))
        monkeypatch.setattr("engine.builds._PATIENCE", timedelta(0))

        with pytest.raises(RPCError, match="no worker"):
            await promote(releases.client, new.build_id or "")

    current = [each.id for each in await read_builds(releases.client) if each.current]
    assert current == [old.build_id]


async def test_a_sweep_goes_on_with_the_current_build_when_its_own_workers_are_gone(
    releases: Releases,
) -> None:
    """It would keep every later one from starting until its half hour is over."""
    old, new = releases.old, releases.new
    async with old.running(Interrupted):
        await releases.noted(old)
        await promote(releases.client, old.build_id or "")
        sweep = await releases.client.start_workflow(
            SweepWorkflow.run,
            SweepReport(older_than=0),
            id=f"sweep-{uuid4().hex}",
            task_queue=SWEEP_QUEUE,
        )

        async def has_begun() -> bool:
            return bool((await sweep.describe()).raw_description.pending_activities)

        await eventually(has_begun)
    async with new.running():
        await releases.noted(new)
        await promote(releases.client, new.build_id or "")

        async def is_done() -> bool:
            return (await sweep.describe()).status is WorkflowExecutionStatus.COMPLETED

        await eventually(is_done)


class Interrupted(SweepActivities):
    """Its worker is stopped before it has examined anything."""

    @activity.defn
    async def examine_payments(self, wanted: Page) -> Findings[PaymentFinding]:
        raise ApplicationError(f"{wanted} of the build that is gone")


async def test_a_payment_whose_build_is_gone_is_named_while_nothing_wakes_it(
    releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its queries have no worker, and no workflow task waits: paid, it would stay pending."""
    old = releases.old
    async with old.running():
        await releases.noted(old)
        order = await old.shop.order(policy=BRISK)

        async def started() -> bool:
            """Once its workers are registered at the queue."""
            with suppress(RPCError):
                await old.shop.pending(order)
                return True
            return False

        await eventually(started)
        run = old.shop.run(order)
        assert await stuck(releases, run) is None
    monkeypatch.setattr("activities.pollers.POLLED_WITHIN", timedelta(0))

    assert await stuck(releases, run) == f"has no worker of build {old.build_id}"


async def stuck(releases: Releases, run: PaymentRun) -> str | None:
    return await stuck_task(releases.client, await run.describe())


async def test_an_api_is_ready_by_the_workers_of_its_own_build(releases: Releases) -> None:
    old, new = releases.old, releases.new
    async with old.running():
        await releases.noted(old)
        since = datetime.now(UTC) - timedelta(minutes=1)
        for queue in RUN_QUEUES:
            assert await polled_by(releases.client, queue, since, old.build_id)
            assert not await polled_by(releases.client, queue, since, new.build_id)
            # The one-command stack's, whose workers have no build.
            assert not await polled_by(releases.client, queue, since, None)
