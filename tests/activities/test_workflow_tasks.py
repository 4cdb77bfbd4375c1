"""A workflow whose task is not done is known at once; one whose worker died is not such."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.api.enums.v1 import EventType, TaskQueueKind, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent, WorkflowTaskFailedEventAttributes
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import PollWorkflowTaskQueueRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities import workflow_tasks
from activities.workflow_tasks import _cause, stuck_task
from cli.embedded.config import Service, StackConfig
from cli.embedded.stack import Stack
from tests.stack.waiting import eventually


@workflow.defn(name="Broken")
class Broken:
    """Waits for a signal first, so that its task fails after one that was completed."""

    def __init__(self) -> None:
        self._signalled = False

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: self._signalled)
        raise ValueError("not a failure of the workflow, but of its task")

    @workflow.signal
    def go(self) -> None:
        self._signalled = True


@pytest.fixture
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    folder = tmp_path_factory.mktemp("failing") / "state"
    async with Stack(StackConfig(folder, services=frozenset({Service.TEMPORAL}))) as stack:
        yield await stack.temporal_client()


async def look(client: Client, handle: WorkflowHandle[Broken, None]) -> str | None:
    return await stuck_task(client, await handle.describe())


@pytest.mark.stack
async def test_a_task_is_failing_from_its_first_failure_on_whatever_comes_in_after_it(
    client: Client,
) -> None:
    queue = uuid4().hex
    async with Worker(
        client,
        task_queue=queue,
        workflows=[Broken],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        handle = await client.start_workflow(Broken.run, id=uuid4().hex, task_queue=queue)
        assert await look(client, handle) is None
        await handle.signal(Broken.go)

        async def fails() -> None:
            assert await look(client, handle) is not None

        await eventually(fails)
    for _ in range(5):
        await handle.signal(Broken.go)

    found = await look(client, handle)
    assert found is not None
    assert found.endswith("times, at first workflow_worker_unhandled_failure")


@pytest.mark.stack
async def test_a_task_whose_worker_died_with_it_is_not_failing_but_may_be_taken_by_none(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = uuid4().hex
    handle = await client.start_workflow(
        Broken.run, id=uuid4().hex, task_queue=queue, task_timeout=timedelta(seconds=1)
    )
    # A worker that takes the task and is gone.
    await client.workflow_service.poll_workflow_task_queue(
        PollWorkflowTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=queue, kind=TaskQueueKind.TASK_QUEUE_KIND_NORMAL),
            identity="gone",
        )
    )

    async def tried_again() -> None:
        found = await handle.describe()
        assert found.raw_description.pending_workflow_task.attempt > 1

    await eventually(tried_again)
    assert await look(client, handle) is None
    monkeypatch.setattr(workflow_tasks, "TAKEN_WITHIN", timedelta(0))

    async def is_named() -> None:
        assert await look(client, handle) == "is taken by no worker"

    await eventually(is_named)


@pytest.mark.stack
async def test_a_task_that_no_worker_takes_is_named(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = await client.start_workflow(Broken.run, id=uuid4().hex, task_queue="nobody")
    assert await look(client, handle) is None
    monkeypatch.setattr(workflow_tasks, "TAKEN_WITHIN", timedelta(0))

    assert await look(client, handle) == "is taken by no worker"


def ended(kind: EventType.ValueType, cause: WorkflowTaskFailedCause.ValueType = 0) -> HistoryEvent:  # type: ignore[assignment] # none
    failed = WorkflowTaskFailedEventAttributes(cause=cause)
    return HistoryEvent(event_type=kind, workflow_task_failed_event_attributes=failed)


SIGNALLED = HistoryEvent(event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED)
FAILED = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
COMPLETED = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
TIMED_OUT = EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT
NON_DETERMINISTIC = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR
UNHANDLED_COMMAND = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND


@pytest.mark.parametrize(
    ("newest_first", "cause"),
    [
        ([SIGNALLED, ended(FAILED, NON_DETERMINISTIC)], "non_deterministic_error"),
        ([ended(FAILED, NON_DETERMINISTIC), ended(COMPLETED)], "non_deterministic_error"),
        ([ended(COMPLETED), ended(FAILED, NON_DETERMINISTIC)], None),
        ([ended(TIMED_OUT), ended(FAILED, NON_DETERMINISTIC)], None),
        ([ended(FAILED, UNHANDLED_COMMAND), ended(FAILED, NON_DETERMINISTIC)], None),
        ([SIGNALLED], None),
    ],
)
def test_the_last_task_that_ended_says_whether_it_fails(
    newest_first: list[HistoryEvent], cause: str | None
) -> None:
    assert _cause(newest_first) == cause
