"""How a worker of workflows is set up; the benchmarks' floor is set up alike."""

from datetime import timedelta
from typing import TypedDict

from temporalio.worker import PollerBehaviorAutoscaling

# Longer than a provider call may take, so that a deploy interrupts none.
GRACEFUL_STOP = timedelta(seconds=20)
# Of one queue, some 180 KB each. An evicted payment costs a replay of what it has so far, some ten
# events, when it next moves.
CACHED_WORKFLOWS = 2000
# After a worker is killed, its payments wait this long before another worker takes them over.
STICKY_TIMEOUT = timedelta(seconds=2)


class Tuning(TypedDict):
    """Arguments of `temporalio.worker.Worker`."""

    max_cached_workflows: int
    sticky_queue_schedule_to_start_timeout: timedelta
    graceful_shutdown_timeout: timedelta
    workflow_task_poller_behavior: PollerBehaviorAutoscaling
    activity_task_poller_behavior: PollerBehaviorAutoscaling


def tuning() -> Tuning:
    """For a worker that runs workflows."""
    pollers = PollerBehaviorAutoscaling(minimum=1, maximum=20, initial=4)
    return Tuning(
        max_cached_workflows=CACHED_WORKFLOWS,
        sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
        graceful_shutdown_timeout=GRACEFUL_STOP,
        workflow_task_poller_behavior=pollers,
        activity_task_poller_behavior=pollers,
    )
