"""One provider hangs: do the others' payments feel it?

The same steady load on both providers twice, alternating: with Alipay well, and with an Alipay
whose answers do not come.
"""

import asyncio
from typing import Any, TypedDict

from bench.figures import Quantiles, quantiles
from bench.load import at_rate, steady
from bench.merchant import Merchant
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
        measured, _ = await _both(hurt, others, rate, seconds)
        well += measured
        await hurt.control(
            "faults",
            operation="create",
            kind="delay",
            times=-1,
            params={"seconds": HANGS_SECONDS},
        )
        measured, stranded = await _both(hurt, others, rate, seconds)
        hanging += measured
        await hurt.behave()
        # None is left to be asked about while the next round is measured.
        await asyncio.gather(*map(hurt.finish, stranded))
    # All rounds together: one of them has too few for a 99th percentile.
    before, after = quantiles(well), quantiles(hanging)
    return Starving(
        rate=rate, well=before, hanging=after, p99_ratio=round(after["p99"] / before["p99"], 3)
    )


async def _both(
    hurt: Merchant, others: Merchant, rate: float, seconds: float
) -> tuple[list[float], list[dict[str, Any]]]:
    """Seconds of the others' creates, and the hurt provider's payments without a checkout."""
    stranded: list[dict[str, Any]] = []

    async def one() -> None:
        payment = await hurt.post(or_later=True)
        if payment["checkout"]:
            await hurt.finish(payment)
        else:
            stranded.append(payment)

    async with asyncio.TaskGroup() as group:
        group.create_task(at_rate(one, rate, seconds))
        measured = group.create_task(steady(others, rate, seconds))
    return measured.result(), stranded
