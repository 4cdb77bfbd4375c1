"""The floor's worker process, set up as the payments' own is."""

import asyncio
import os
import signal
from pathlib import Path

import uvloop
from temporalio.worker import Worker

from crypto.key_ring import KeyRing
from engine import memory
from engine.client import connect
from engine.tuning import GRACEFUL_STOP, tuning
from verification.benchmarks import floor
from workflows.registered import runner


async def main() -> None:
    """Poll until SIGTERM."""
    client = await connect(KeyRing.from_file(Path(os.environ["PAYSAGA_PAYLOAD_KEYS_FILE"])))
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    workflows = Worker(
        client,
        task_queue=floor.QUEUE,
        workflows=[floor.FloorWorkflow],
        activities=[floor.write_down, floor.submit],
        workflow_runner=runner(),
        **tuning(),
    )
    webhooks = Worker(
        client,
        task_queue=floor.WEBHOOK_QUEUE,
        activities=[floor.deliver],
        graceful_shutdown_timeout=GRACEFUL_STOP,
    )
    async with workflows, webhooks:
        memory.settle()
        await stopped.wait()


if __name__ == "__main__":
    uvloop.run(main())
