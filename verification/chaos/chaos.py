"""What blows whatever the payments do: kills, and merchants in a mood."""

import asyncio
import os
import signal
import time

from cli.embedded.stack import Stack
from verification.chaos.clients import Sandbox
from verification.chaos.plan import Plan
from verification.chaos.tally import Tally


async def kill_by_plan(plan: Plan, stack: Stack, tally: Tally, start: float) -> None:
    """SIGKILL each process at its time; the stack starts it again by itself."""
    for kill in plan.kills:
        await _until(start + kill.at)
        begun = time.monotonic()
        try:
            pid = stack.process(kill.service)
            os.kill(pid, signal.SIGKILL)
        except (LookupError, ProcessLookupError):
            continue  # it is down already
        tally.kills[kill.service] += 1
        await _replaced(stack, kill.service, pid)
        tally.recovery_seconds.setdefault(kill.service, []).append(time.monotonic() - begun)


async def moods_by_plan(plan: Plan, names: list[str], sandbox: Sandbox, start: float) -> None:
    """Change how merchants answer, each at its time."""
    for mood in plan.moods:
        await _until(start + mood.at)
        await sandbox.post(f"merchant/{names[mood.merchant]}", {"times": 1} | mood.answer)


async def _replaced(stack: Stack, service: str, old: int) -> None:
    while True:
        try:
            if stack.process(service) != old:
                break
        except LookupError:
            pass  # between two lives
        await asyncio.sleep(0.02)
    await stack.wait_ready(service)


async def _until(moment: float) -> None:
    await asyncio.sleep(max(moment - time.monotonic(), 0))
