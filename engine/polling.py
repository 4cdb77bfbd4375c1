"""Whether a worker works on a task queue.

By its polls for activities: an API process, which runs the payments that it starts, makes none.
"""

from datetime import datetime

from temporalio.client import Client

from activities.pollers import PROBE, polling_builds

__all__ = ["PROBE", "polled", "polled_by"]


async def polled(client: Client, queue: str, since: datetime) -> bool:
    """Whether a worker of any build has polled the queue since then; RPCError."""
    return bool(await polling_builds(client, queue, since))


async def polled_by(client: Client, queue: str, since: datetime, build_id: str | None) -> bool:
    """Whether a worker of the build (None: one without) has polled since then; RPCError."""
    return (build_id or "") in await polling_builds(client, queue, since)
