"""Whether anybody works on a task queue."""

from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

# A server that does not say so by then is not ready.
PROBE = timedelta(seconds=2)


async def polled(client: Client, queue: str, since: datetime) -> bool:
    """Whether a worker has asked for the queue's activities since then; RPCError.

    For activities: an API process, which carries its own runs, polls for none.
    """
    found = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        ),
        timeout=PROBE,
    )
    return any(p.last_access_time.ToDatetime(tzinfo=UTC) >= since for p in found.pollers)
