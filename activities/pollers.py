"""Which builds work on a task queue, by the polls that Temporal has noted."""

from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

# A worker polls once a minute at least; Temporal lists one that is gone for minutes.
POLLED_WITHIN = timedelta(seconds=90)
# A server that does not answer by then is not ready.
PROBE = timedelta(seconds=2)


async def polling_builds(client: Client, queue: str, since: datetime) -> frozenset[str]:
    """Return the build ids of the workers that have polled the queue since then; RPCError.

    A worker without a build counts as "". The polls are those for activities: an API process, which
    runs the payments that it starts, makes none.
    """
    found = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        ),
        timeout=PROBE,
    )
    return frozenset(
        poller.deployment_options.build_id
        for poller in found.pollers
        if poller.last_access_time.ToDatetime(tzinfo=UTC) >= since
    )


class RunningBuilds:
    """The builds whose workers run now; each queue is read once, for one look at many workflows."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._queues: dict[str, frozenset[str]] = {}

    async def of(self, queue: str) -> frozenset[str]:
        """Return the build ids; RPCError."""
        if queue not in self._queues:
            since = datetime.now(UTC) - POLLED_WITHIN
            self._queues[queue] = await polling_builds(self._client, queue, since)
        return self._queues[queue]
