"""Many payments waiting at once: what they hold, and what a new one then costs.

A waiting payment asks its provider once a minute at last; here the silence before the first
question outlasts the run, so that what is measured is the waiting itself.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import TypedDict

from api.runs import NoAnswerYet, create_payment
from bench import machine
from bench.figures import Quantiles, quantiles
from bench.load import Timed, step_by_step
from bench.orders import order_to_wait
from bench.stage import Stage

AT_ONCE = 12


QUARTERS = 4


class OpenPayments(TypedDict):
    """The same measurements before and with `held` open payments.

    `memory_mb` by process: with none, and with each further quarter of them.
    """

    held: int
    memory_mb: list[dict[str, float]]
    worker_growth: float
    create_before: Quantiles
    create: Quantiles
    acknowledge_before: Quantiles
    acknowledge: Quantiles
    create_ratio: float


async def hold(stage: Stage, count: int, samples: int) -> OpenPayments:
    """Measure, open `count` payments that wait, measure again."""
    alipay = stage.merchants["alipay"]
    empty = (await step_by_step([alipay], samples))[alipay.name]
    memory = [_memory(stage)]
    for quarter in range(QUARTERS):
        await _open(stage, count * (quarter + 1) // QUARTERS - count * quarter // QUARTERS)
        memory.append(_memory(stage))
    full = (await step_by_step([alipay], samples))[alipay.name]
    created, crowded = quantiles(_creates(empty)), quantiles(_creates(full))
    return OpenPayments(
        held=count,
        memory_mb=memory,
        worker_growth=round(memory[-1]["worker"] / memory[QUARTERS // 2]["worker"], 3),
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
            # No answer in time leaves a run that waits all the same.
            with suppress(NoAnswerYet):
                await create_payment(stage.client, order_to_wait(stage.merchant_id))

    await asyncio.gather(*(open_some() for _ in range(AT_ONCE)))


def _creates(timed: Sequence[Timed]) -> list[float]:
    return [one.create for one in timed]


def _memory(stage: Stage) -> dict[str, float]:
    found = machine.memory_mb(stage.processes)
    return {name: round(size, 1) for name, size in found.items()}
