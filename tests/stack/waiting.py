"""Awaiting what must become true, on a machine that may be busy with other things."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx

from storage.database import DatabaseUnavailable

T = TypeVar("T")

PATIENCE_SECONDS = 90.0
LOOK_EVERY = 0.1
# What a stack says while a part of it is down.
PASSING = (AssertionError, httpx.TransportError, DatabaseUnavailable)


async def eventually(check: Callable[[], Awaitable[T]], seconds: float = PATIENCE_SECONDS) -> T:
    """The check's result once it passes; its own last error where it never does."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return await check()
        except PASSING:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(LOOK_EVERY)
