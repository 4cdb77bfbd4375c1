"""The sweep's schedule, and the worker that runs it."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.common import VersioningBehavior
from temporalio.worker import PollerBehaviorSimpleMaximum, Worker, WorkerDeploymentConfig

from activities.sweep import SweepActivities
from engine.client import meter
from engine.guard import GuardedRunner
from workflows.policies import SWEEP_QUEUE
from workflows.registered import runner
from workflows.sweep import SweepReport, SweepWorkflow

SCHEDULE_ID = "sweep"
EVERY, LONGEST = timedelta(minutes=5), timedelta(minutes=30)
# Two pollers are the fewest that the SDK allows; there is one task at a time.
_POLLERS = PollerBehaviorSimpleMaximum(2)


def sweep_worker(
    client: Client, activities: SweepActivities, build: WorkerDeploymentConfig | None = None
) -> Worker:
    """Run the sweep on its own queue.

    It moves with the current build: one whose worker is gone would keep every later sweep from
    starting until its time is over.
    """
    if build is not None:
        build = replace(build, default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
    return Worker(
        client,
        task_queue=SWEEP_QUEUE,
        workflows=[SweepWorkflow],
        activities=[
            activities.examine_payments,
            activities.examine_refunds,
            activities.report_finding,
        ],
        workflow_runner=GuardedRunner(runner(), meter(client)),
        workflow_task_poller_behavior=_POLLERS,
        activity_task_poller_behavior=_POLLERS,
        deployment_config=build,
    )


async def sweep_now(client: Client) -> None:
    """Start a sweep of every unfinished row, however young; it runs in the background."""
    await client.start_workflow(
        SweepWorkflow.run,
        SweepReport(older_than=0),
        id=f"{SCHEDULE_ID}-{uuid4().hex}",
        task_queue=SWEEP_QUEUE,
        execution_timeout=LONGEST,
    )


async def schedule_sweep(client: Client, *, every: timedelta = EVERY) -> None:
    """Create the schedule, or bring an earlier release's to this form; a pause is kept."""
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(
            SweepWorkflow.run,
            SweepReport(),
            id=SCHEDULE_ID,
            task_queue=SWEEP_QUEUE,
            # One that cannot go on must not keep every later one from starting.
            execution_timeout=LONGEST,
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        # One at a time; what was missed while everything was down is one sweep, not many.
        policy=SchedulePolicy(
            overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(minutes=1)
        ),
    )
    try:
        await client.create_schedule(SCHEDULE_ID, schedule)
    except ScheduleAlreadyRunningError:
        await client.get_schedule_handle(SCHEDULE_ID).update(
            lambda found: _updated(found, schedule)
        )


def _updated(found: ScheduleUpdateInput, schedule: Schedule) -> ScheduleUpdate:
    schedule.state = found.description.schedule.state
    return ScheduleUpdate(schedule)
