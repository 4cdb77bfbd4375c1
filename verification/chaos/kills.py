"""Kills, and merchants' endpoints that fail, whatever the payments do."""

import asyncio
import os
import signal
import time

from cli.embedded.stack import Stack
from verification.chaos.clients import Sandbox
from verification.chaos.counts import Counts
from verification.chaos.plan import Plan


async def kill_by_plan(plan: Plan, stack: Stack, counts: Counts, start: float) -> None:
    """SIGKILL each process at its time; the stack starts it again by itself."""
    for kill in plan.kills:
        await _until(start + kill.at)
        begun = time.monotonic()
        try:
            pid = stack.process(kill.service)
            os.kill(pid, signal.SIGKILL)
        except (LookupError, ProcessLookupError):
            continue  # it is down already
        counts.kills[kill.service] += 1
        await _replaced(stack, kill.service, pid)
        counts.recovery_seconds.setdefault(kill.service, []).append(time.monotonic() - begun)


async def endpoint_faults_by_plan(
    plan: Plan, names: list[str], sandbox: Sandbox, start: float
) -> None:
    """Change how merchants answer, each at its time."""
    for fault in plan.endpoint_faults:
        await _until(start + fault.at)
        await sandbox.post(f"merchant/{names[fault.merchant]}", {"times": 1} | fault.answer)


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
