"""The product's own worker, that stops at every step until the conductor lets it go on."""

import asyncio
import logging

import worker
from verification.crash.clock import forgive
from verification.crash.gate import Gate
from verification.crash.hooks import (
    Activities,
    hook_calls,
    hook_connection,
    hook_database,
    hook_worker,
)


def main() -> None:
    """Run the worker with the gate in every step."""
    gate = Gate()
    forgive()
    activities = Activities(gate)
    hook_database(gate)
    hook_calls(gate)
    hook_worker(gate, activities)
    hook_connection(worker, activities)
    asyncio.run(worker.main())


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    main()
