"""One provider hangs: do the others' payments feel it?

The same steady load on all of them in two phases, in turn: with Alipay well, and with an Alipay
whose answers do not come. It is asked for so often that, hanging, it wants more of the API's
local slots than its share.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, TypedDict

from verification.benchmarks.figures import Quantiles, quantiles
from verification.benchmarks.load import at_rate, steady
from verification.benchmarks.merchant import Merchant
from verification.benchmarks.stage import Stage

# Longer than any patience of ours.
HANGS_SECONDS = 60
# Creates a second through each of the others, for one through Alipay.
SHARE = 1 / 3
OTHERS = ("wechatpay", "unionpay")


class Starving(TypedDict):
    """Creates through the other providers while Alipay is well, and while it hangs."""

    rate: float
    well: Quantiles
    hanging: Quantiles
    p99_ratio: float


async def starve(stage: Stage, rate: float, seconds: float, rounds: int) -> Starving:
    """`rate` payments a second through Alipay, `seconds` of each phase a round."""
    hurt, others = stage.merchants["alipay"], [stage.merchants[name] for name in OTHERS]
    well: list[float] = []
    hanging: list[float] = []
    for number in range(rounds):
        # Whatever the run before has left behind meets either phase first.
        for hangs in (False, True) if number % 2 else (True, False):
            if hangs:
                hanging += await _with_a_hanging_one(hurt, others, rate, seconds)
            else:
                measured, _ = await _together(hurt, others, rate, seconds)
                well += measured
    # All rounds together: one of them has too few for a 99th percentile.
    before, after = quantiles(well), quantiles(hanging)
    return Starving(
        rate=rate, well=before, hanging=after, p99_ratio=round(after["p99"] / before["p99"], 3)
    )


async def _with_a_hanging_one(
    hurt: Merchant, others: Sequence[Merchant], rate: float, seconds: float
) -> list[float]:
    await hurt.control(
        "faults", operation="create", kind="delay", times=-1, params={"seconds": HANGS_SECONDS}
    )
    measured, stranded = await _together(hurt, others, rate, seconds)
    await hurt.behave()
    # None is left to be asked about while the next phase is measured.
    await asyncio.gather(*map(hurt.finish, stranded))
    return measured


async def _together(
    hurt: Merchant, others: Sequence[Merchant], rate: float, seconds: float
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
        measured = [group.create_task(steady(other, rate * SHARE, seconds)) for other in others]
    return [seconds for one in measured for seconds in one.result()], stranded
