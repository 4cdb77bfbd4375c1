import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from sandbox.side import ProviderSide

INTERVAL_SECONDS = 0.25


@asynccontextmanager
async def sweeping(sides: dict[str, ProviderSide]) -> AsyncIterator[None]:
    """Let every provider's time pass while the block runs."""
    task = asyncio.create_task(_sweep_forever(sides))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _sweep_forever(sides: dict[str, ProviderSide]) -> None:
    while True:
        for side in sides.values():
            side.sweep()
        await asyncio.sleep(INTERVAL_SECONDS)
