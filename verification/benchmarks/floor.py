"""The floor: a workflow of our payment's shape whose steps do nothing.

Update-with-start, two local steps before the answer, a timed wait for a signal, a local step,
one activity on the webhooks' queue. What it takes is Temporal's own price.
"""

import asyncio
import os
import socket
from datetime import timedelta

from temporalio import activity, workflow

QUEUE = "floor"
WEBHOOK_QUEUE = "floor-webhooks"
_LOCAL = timedelta(seconds=5)
_GRACE = timedelta(seconds=600)


@activity.defn
async def write_down(order: str) -> str:
    """Stands for a row written."""
    return order


@activity.defn
async def submit(order: str) -> str:
    """Stands for the provider's answer."""
    return f"https://provider.example/{order}"


@activity.defn
async def deliver(order: str) -> None:
    """Stands for the webhook: one datagram, so that the bench knows the end without asking."""
    port = int(os.environ["BENCH_END_PORT"])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.sendto(order.encode(), ("127.0.0.1", port))


@workflow.defn
class FloorWorkflow:
    """The payment's shape."""

    @workflow.init
    def __init__(self, order: str) -> None:  # noqa: ARG002 - Temporal hands both the same
        self._checkout: str | None = None
        self._paid = False

    @workflow.run
    async def run(self, order: str) -> str:
        """Create, wait to be paid, finalise, deliver."""
        await workflow.execute_local_activity(write_down, order, start_to_close_timeout=_LOCAL)
        self._checkout = await workflow.execute_local_activity(
            submit, order, start_to_close_timeout=_LOCAL
        )
        try:
            await workflow.wait_condition(lambda: self._paid, timeout=_GRACE)
        except asyncio.TimeoutError:  # noqa: UP041 - temporalio raises asyncio's name for it
            return order
        await workflow.execute_local_activity(write_down, order, start_to_close_timeout=_LOCAL)
        await workflow.execute_activity(
            deliver, order, task_queue=WEBHOOK_QUEUE, start_to_close_timeout=_LOCAL
        )
        await workflow.wait_condition(workflow.all_handlers_finished)
        return order

    @workflow.update
    async def checkout(self) -> str:
        """What the provider answered."""
        await workflow.wait_condition(lambda: self._checkout is not None)
        return self._checkout or ""

    @workflow.signal
    def notify(self, _notification: str) -> None:
        """The payer paid."""
        self._paid = True
