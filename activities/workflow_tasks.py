"""Why a workflow's task is not done: it fails, or there is no worker that takes it.

A task's number of tries says little: Temporal's pauses between them grow to ten minutes, and a
worker that is killed makes a second try as well. The history tells the two apart.
"""

from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import EventType, PendingWorkflowTaskState, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import (
    PendingWorkflowTaskInfo,
    WorkflowExecutionVersioningInfo,
)
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryReverseRequest
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus

from activities.pollers import RunningBuilds

# A try that ends by its time is a worker that died with it. The tries after that are not recorded:
# from the third on it is no accident.
MOST_TIMEOUTS = 3
# A worker takes a task within milliseconds, and another one that of a dead worker within seconds.
TAKEN_WITHIN = timedelta(minutes=1)
# The first failed try is recorded, those after it are not; signals may follow it.
_EVENTS = 50
_RPC_SECONDS = timedelta(seconds=10)
# These say what happened on the way of a task that a worker can well do.
_BENIGN = frozenset(
    {
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND,
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_STICKY_TASK_QUEUE,
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND,
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FAILOVER_CLOSE_COMMAND,
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW,
    }
)
_ENDED_OTHERWISE = (
    EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
)
_PREFIX = "WORKFLOW_TASK_FAILED_CAUSE_"


async def stuck_task(
    client: Client, found: WorkflowExecutionDescription, running: RunningBuilds | None = None
) -> str | None:
    """Return why the workflow's task is not done, or None where nothing is wrong. RPCError.

    An open workflow whose build has no worker counts as such while no task waits too: nobody makes
    its queries. `running` is shared by looks at many workflows.
    """
    raw = found.raw_description
    if raw.HasField("pending_workflow_task"):
        stuck = await _pending(client, found)
        if stuck is not None:
            return stuck
    build = _build(raw.workflow_execution_info.versioning_info)
    if not build or found.status is not WorkflowExecutionStatus.RUNNING:
        return None
    queue = raw.execution_config.task_queue.name
    if build in await (running or RunningBuilds(client)).of(queue):
        return None
    return f"has no worker of build {build}"


async def _pending(client: Client, found: WorkflowExecutionDescription) -> str | None:
    raw = found.raw_description
    task = raw.pending_workflow_task
    # The try that is under way has not failed yet.
    tries = task.attempt - 1
    if tries >= 1:
        cause = _cause(await _newest_events(client, found))
        if cause is not None or tries >= MOST_TIMEOUTS:
            return f"failed {tries} times, at first {cause or 'timeout'}"
    # Also after a worker has died with it: there may be no other of its build.
    if _waits_for_a_worker(task):
        build = _build(raw.workflow_execution_info.versioning_info)
        return f"is taken by no worker{f' of build {build}' if build else ''}"
    return None


def _build(info: WorkflowExecutionVersioningInfo) -> str:
    """The build that is to carry it: of the override, which comes first, or of its last task."""
    override = info.versioning_override.pinned.version.build_id
    return override or info.deployment_version.build_id


def _waits_for_a_worker(task: PendingWorkflowTaskInfo) -> bool:
    if task.state != PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_SCHEDULED:
        return False
    return datetime.now(UTC) - task.scheduled_time.ToDatetime(tzinfo=UTC) > TAKEN_WITHIN


def _cause(newest: list[HistoryEvent]) -> str | None:
    """The cause of the last task that ended, by the events, newest first; None: no failure."""
    for event in newest:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
            cause = event.workflow_task_failed_event_attributes.cause
            if cause in _BENIGN:
                return None
            return WorkflowTaskFailedCause.Name(cause).removeprefix(_PREFIX).lower()
        if event.event_type in _ENDED_OTHERWISE:
            return None
    return None


async def _newest_events(client: Client, found: WorkflowExecutionDescription) -> list[HistoryEvent]:
    answer = await client.workflow_service.get_workflow_execution_history_reverse(
        GetWorkflowExecutionHistoryReverseRequest(
            namespace=client.namespace,
            execution=found.raw_description.workflow_execution_info.execution,
            maximum_page_size=_EVENTS,
        ),
        timeout=_RPC_SECONDS,
    )
    return list(answer.history.events)
