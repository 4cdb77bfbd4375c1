"""One provider hangs: do the others' payments feel it?

The same steady load on both providers twice, alternating: with Alipay well, and with an Alipay
whose answers do not come.
"""

import asyncio
from contextlib import suppress
from typing import TypedDict

from bench.figures import Quantiles, quantiles
from bench.load import steady
from bench.merchant import Merchant
from bench.sides import BenchError
from bench.stage import Stage

# Longer than any patience of ours.
HANGS_SECONDS = 60


class Starving(TypedDict):
    """Creates through WeChat Pay while Alipay is well, and while it hangs."""

    rate: float
    well: Quantiles
    hanging: Quantiles
    p99_ratio: float


async def starve(stage: Stage, rate: float, seconds: float, rounds: int) -> Starving:
    """`rate` payments a second through each provider, `seconds` of each mood a round."""
    hurt, others = stage.merchants["alipay"], stage.merchants["wechatpay"]
    well: list[float] = []
    hanging: list[float] = []
    for _ in range(rounds):
        well += await _both(hurt, others, rate, seconds)
        await hurt.control(
            "faults",
            operation="create",
            kind="delay",
            times=-1,
            params={"seconds": HANGS_SECONDS},
        )
        hanging += await _both(hurt, others, rate, seconds)
        await hurt.behave()
    # All rounds together: one of them has too few for a 99th percentile.
    before, after = quantiles(well), quantiles(hanging)
    return Starving(
        rate=rate, well=before, hanging=after, p99_ratio=round(after["p99"] / before["p99"], 3)
    )


async def _both(hurt: Merchant, others: Merchant, rate: float, seconds: float) -> list[float]:
    async with asyncio.TaskGroup() as group:
        group.create_task(_regardless(hurt, rate, seconds))
        measured = group.create_task(steady(others, rate, seconds))
    return measured.result()


async def _regardless(hurt: Merchant, rate: float, seconds: float) -> None:
    """The hurt provider's payments, whatever becomes of them (202 after eight seconds)."""

    async def one() -> None:
        with suppress(BenchError):
            await hurt.create()

    tasks = []
    for _ in range(int(rate * seconds)):
        tasks.append(asyncio.create_task(one()))
        await asyncio.sleep(1 / rate)
    await asyncio.gather(*tasks)
