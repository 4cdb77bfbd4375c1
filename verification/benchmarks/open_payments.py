"""Many payments waiting at once: what they hold, and what a new one then costs.

They wait on the queue that the API and the worker both poll, as the payments that the API starts
do. A waiting payment asks its provider once a minute at last; here the silence before the first
question outlasts the run, so that what is measured is the waiting itself.
"""

import asyncio
from collections.abc import Sequence
from typing import TypedDict

from temporalio.client import WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy

from verification.benchmarks import machine
from verification.benchmarks.figures import Quantiles, quantiles
from verification.benchmarks.load import Timed, step_by_step
from verification.benchmarks.orders import order_to_wait
from verification.benchmarks.sides import BenchError
from verification.benchmarks.stage import Stage
from workflows.payment import PaymentOrder, PaymentWorkflow
from workflows.policies import EAGER_QUEUE
from workflows.starting import payment_options

AT_ONCE = 12
QUARTERS = 4
_OPEN = "WorkflowType = 'PaymentWorkflow' AND ExecutionStatus = 'Running'"
# The server's list of runs lags behind its runs.
_LOOKS, _LOOK_SECONDS = 60, 0.5


class OpenPayments(TypedDict):
    """The same measurements before and with `held` open payments, as the server counts them.

    `memory_mb` by process: with none, and with each further quarter of them; `growth` of those
    that carry runs, from half of them to all.
    """

    held: int
    memory_mb: list[dict[str, float]]
    growth: dict[str, float]
    create_before: Quantiles
    create: Quantiles
    acknowledge_before: Quantiles
    acknowledge: Quantiles
    create_ratio: float


async def hold(stage: Stage, count: int, samples: int) -> OpenPayments:
    """Measure, open `count` payments that wait, measure again. BenchError where fewer wait."""
    alipay = stage.merchants["alipay"]
    empty = (await step_by_step([alipay], samples))[alipay.name]
    memory = [_memory(stage)]
    for quarter in range(QUARTERS):
        await _open(stage, count * (quarter + 1) // QUARTERS - count * quarter // QUARTERS)
        memory.append(_memory(stage))
    held = await _counted(stage, count)
    full = (await step_by_step([alipay], samples))[alipay.name]
    created, crowded = quantiles(_creates(empty)), quantiles(_creates(full))
    return OpenPayments(
        held=held,
        memory_mb=memory,
        growth={
            name: round(memory[-1][name] / memory[QUARTERS // 2][name], 3)
            for name in ("api", "worker")
        },
        create_before=created,
        create=crowded,
        acknowledge_before=quantiles([one.acknowledge for one in empty]),
        acknowledge=quantiles([one.acknowledge for one in full]),
        create_ratio=round(crowded["p50"] / created["p50"], 3),
    )


async def _open(stage: Stage, count: int) -> None:
    left = iter(range(count))

    async def open_some() -> None:
        for _ in left:
            await _placed(stage, order_to_wait(stage.merchant_id))

    await asyncio.gather(*(open_some() for _ in range(AT_ONCE)))


async def _placed(stage: Stage, order: PaymentOrder) -> None:
    """The run waits for its payer."""
    options = payment_options(order)
    await stage.client.execute_update_with_start_workflow(
        "checkout",
        order.payment.request_hash,
        start_workflow_operation=WithStartWorkflowOperation(
            PaymentWorkflow.run,
            order,
            **options.arguments,
            task_queue=EAGER_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        ),
    )


async def _counted(stage: Stage, wanted: int) -> int:
    for _ in range(_LOOKS):
        counted = (await stage.client.count_workflows(_OPEN)).count
        if counted >= wanted:
            return counted
        await asyncio.sleep(_LOOK_SECONDS)
    raise BenchError(f"{counted} payments are open, not {wanted}")


def _creates(timed: Sequence[Timed]) -> list[float]:
    return [one.create for one in timed]


def _memory(stage: Stage) -> dict[str, float]:
    found = machine.memory_mb(stage.processes)
    return {name: round(size, 1) for name, size in found.items()}
