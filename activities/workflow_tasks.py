"""Whether a workflow's task fails: what Temporal says of it, from the first failure on.

A task's number of tries tells little: Temporal's pauses between them grow to ten minutes, and a
worker that is killed makes a second try as well. The history tells the two apart.
"""

from datetime import timedelta

from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryReverseRequest
from temporalio.client import Client, WorkflowExecutionDescription

from domain.frozen import Frozen

# A try that ends by its time is a worker that died with it. The tries after that are not recorded:
# from the third on it is no accident.
MOST_TIMEOUTS = 3
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


class FailingTask(Frozen):
    """A workflow task that no worker can do: how often it was tried, and why it failed first."""

    tries: int
    cause: str

    def __str__(self) -> str:
        return f"{self.tries} times, at first {self.cause}"


async def failing_task(client: Client, found: WorkflowExecutionDescription) -> FailingTask | None:
    """Return the workflow's failing task, or None where it has none. Raises RPCError."""
    # The try that is under way has not failed yet.
    tries = found.raw_description.pending_workflow_task.attempt - 1
    if tries < 1:
        return None
    cause = _cause(await _newest_events(client, found))
    if cause is None and tries < MOST_TIMEOUTS:
        return None
    return FailingTask(tries=tries, cause=cause or "timeout")


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
