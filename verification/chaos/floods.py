"""Who has no part in any payment: floods of requests, and the sweep that cleans up after a loss."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from cli.embedded.stack import Stack
from verification.chaos.cases import CASES, OTHERS
from verification.chaos.counts import Counts
from verification.chaos.plan import Flood, FloodKind, Plan
from workflows.policies import SWEEP_QUEUE
from workflows.sweep import SweepReport, SweepWorkflow

# The least age of a row that the test's sweeps look at; the product waits for ten minutes.
OLDER_THAN_SECONDS = 5.0
_ANY_ACCOUNT = f"/notify/{OTHERS[-1]}/{CASES[OTHERS[-1]].accounts[0]}"
_SWEEP_SECONDS = timedelta(minutes=2)

Request = Callable[[httpx.AsyncClient], Any]


async def floods_by_plan(plan: Plan, url: str, key: str, counts: Counts, start: float) -> None:
    """Send each flood at its time; `key` is of a merchant that takes no other part."""
    for flood in plan.floods:
        await asyncio.sleep(max(start + flood.at - time.monotonic(), 0))
        async with httpx.AsyncClient(base_url=url, timeout=10, trust_env=False) as http:
            senders = [_flood(flood, http, key, counts) for _ in range(flood.connections)]
            await asyncio.gather(*senders)


async def sweeps_by_plan(plan: Plan, stack: Stack, counts: Counts) -> None:
    """Run a sweep every few seconds for as long as it is awaited."""
    while plan.sweep_every:
        await asyncio.sleep(plan.sweep_every)
        # Temporal may be down: the next one comes.
        with suppress(RPCError, RuntimeError, WorkflowAlreadyStartedError):
            client = await stack.temporal_client()
            handle = await client.start_workflow(
                SweepWorkflow.run,
                SweepReport(older_than=OLDER_THAN_SECONDS),
                id=f"sweep-{uuid4().hex}",
                task_queue=SWEEP_QUEUE,
                execution_timeout=_SWEEP_SECONDS,
            )
            report = await handle.result(rpc_timeout=_SWEEP_SECONDS)
            counts.sweeps["started again"] += report.restarted
            counts.sweeps["runs"] += 1


async def _flood(flood: Flood, http: httpx.AsyncClient, key: str, counts: Counts) -> None:
    until = time.monotonic() + flood.seconds
    while time.monotonic() < until:
        try:
            answer = await _REQUESTS[flood.kind](http, key)
        except httpx.TransportError as error:
            counts.floods[f"{flood.kind} {type(error).__name__}"] += 1
            await asyncio.sleep(0.1)
        else:
            counts.floods[f"{flood.kind} {answer.status_code}"] += 1


async def _bad_key(http: httpx.AsyncClient, _key: str) -> httpx.Response:
    return await http.get("/v1/payments", headers={"Authorization": f"Bearer {uuid4().hex}"})


async def _garbage(http: httpx.AsyncClient, _key: str) -> httpx.Response:
    return await http.post(_ANY_ACCOUNT, content=b"orderId=" + uuid4().hex.encode())


async def _reads(http: httpx.AsyncClient, key: str) -> httpx.Response:
    return await http.get("/v1/payments", headers={"Authorization": f"Bearer {key}"})


_REQUESTS = {
    FloodKind.BAD_KEYS: _bad_key,
    FloodKind.GARBAGE: _garbage,
    FloodKind.MERCHANT: _reads,
}
