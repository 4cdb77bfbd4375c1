"""Killing processes of a stack and seeing what becomes of them."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterable
from pathlib import Path

from cli.embedded.stack import Stack

PATIENCE_SECONDS = 60.0


async def kill(stack: Stack, name: str) -> None:
    """Kill -9 one service and return once another process of it is ready."""
    old = stack.process(name)
    os.kill(old, signal.SIGKILL)
    await replaced(stack, name, old)


async def replaced(stack: Stack, name: str, old: int) -> None:
    """Return once another process than the old one runs as the service and is ready."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while _running(stack, name) in (None, old):  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0.01)
        await stack.wait_ready(name)


def kill_all(pids: Iterable[int]) -> None:
    """Kill -9 these processes, those that went down meanwhile excepted."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def descendants(pid: int) -> set[int]:
    """Every process below this one."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (parent := _parent(entry)) is not None:
            parents[int(entry.name)] = parent
    found, below = set(), {pid}
    while below:
        below = {child for child, parent in parents.items() if parent in below}
        found |= below
    return found


async def gone(pids: set[int]) -> None:
    """Return when none of these processes is alive."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while any(alive(pid) for pid in pids):  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0.02)


def alive(pid: int) -> bool:
    """True unless the process ended, reaped or not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def _parent(entry: Path) -> int | None:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def _running(stack: Stack, name: str) -> int | None:
    try:
        return stack.process(name)
    except LookupError:
        return None
