"""Ours against the floor: rounds in turn, one payment at a time and as many as go."""

import os
import statistics
from dataclasses import dataclass, field
from typing import TypedDict

from verification.benchmarks import load
from verification.benchmarks.costs import (
    History,
    TableSizes,
    history,
    history_of_payment,
    table_sizes,
)
from verification.benchmarks.figures import Quantiles, Spread, quantiles, spread
from verification.benchmarks.load import Saturated, Timed
from verification.benchmarks.merchant import STORE
from verification.benchmarks.provider_time import provider_seconds
from verification.benchmarks.sides import Side
from verification.benchmarks.stage import Stage

FLOOR = "floor"
# Where both are at their best on two cores: with 32 and 64 at once neither makes more.
AT_ONCE = 16


@dataclass(frozen=True)
class Sizes:
    """How much is measured; `payments` a side and round at saturation, `samples` one by one."""

    rounds: int = 3
    payments: int = 150
    samples: int = 60
    at_once: int = AT_ONCE


class Figures(TypedDict):
    """Of one side. Times in ms; `cpu_ms` per payment by process, `used` of all cores at best."""

    rate: Spread
    used: float
    cpu_ms: dict[str, float]
    create: Quantiles
    provider: Quantiles | None
    acknowledge: Quantiles
    webhook: Quantiles
    history: History
    tables: TableSizes | None


class Ratios(TypedDict):
    """Ours over the floor's; the rate is the median over the rounds.

    `cpu_of_ours` leaves out what plays the others: the sandbox, and what the load costs more.
    """

    rate: Spread
    create: float
    create_without_provider: float
    acknowledge: float
    cpu: float
    cpu_of_ours: float
    temporal_cpu: float


class Noise(TypedDict):
    """What else the machine did: shares of all its cores over the run."""

    cores: int
    foreign: Spread
    steal: Spread
    waiting: Spread
    load_before: float


@dataclass
class Compared:
    """All that was measured, by side."""

    figures: dict[str, Figures] = field(default_factory=dict)
    ratios: dict[str, Ratios] = field(default_factory=dict)
    noise: Noise | None = None


@dataclass
class _Rounds:
    """What the rounds found, by side; the ratios are of payments/s over the floor's."""

    timed: dict[str, list[Timed]]
    saturated: dict[str, list[Saturated]]
    ratios: dict[str, list[float]]
    kept: dict[str, TableSizes] = field(default_factory=dict)


async def compare(stage: Stage, sizes: Sizes) -> Compared:
    """Warm up, then measure every side in every round."""
    load_before = os.getloadavg()[0]
    await load.step_by_step(stage.sides, 5)
    for side in stage.sides:
        await load.saturate(side.whole, sizes.at_once * 2, sizes.at_once, stage.processes)
    found = _Rounds(
        timed={side.name: [] for side in stage.sides},
        saturated={side.name: [] for side in stage.sides},
        ratios={name: [] for name in stage.merchants},
    )
    for _ in range(sizes.rounds):
        for name, timed in (await load.step_by_step(stage.sides, sizes.samples)).items():
            found.timed[name] += timed
        await _saturated_round(stage, sizes, found)
    compared = Compared(noise=_noise(found.saturated, load_before))
    for side in stage.sides:
        name = side.name
        figures = await _figures(stage, side, found.timed[name], found.saturated[name])
        compared.figures[name] = figures
        if name != FLOOR:
            figures["tables"] = found.kept[name]
            compared.ratios[name] = _ratios(figures, compared.figures[FLOOR], found.ratios[name])
    return compared


async def _saturated_round(stage: Stage, sizes: Sizes, found: _Rounds) -> None:
    """Each provider between two turns of the floor: the machine's pace changes within a round."""

    async def saturate(side: Side) -> Saturated:
        turn = await load.saturate(side.whole, sizes.payments, sizes.at_once, stage.processes)
        found.saturated[side.name].append(turn)
        return turn

    floor_before = await saturate(stage.floor)
    for name, side in stage.merchants.items():
        empty = await table_sizes(stage.database)
        ours = await saturate(side)
        full = await table_sizes(stage.database)
        floor_after = await saturate(stage.floor)
        floor_rate = (floor_before.rate + floor_after.rate) / 2
        found.ratios[name].append(ours.rate / floor_rate)
        found.kept[name] = TableSizes(
            rows=round((full["rows"] - empty["rows"]) / sizes.payments),
            bytes=round((full["bytes"] - empty["bytes"]) / sizes.payments),
        )
        floor_before = floor_after


async def _figures(
    stage: Stage, side: Side, timed: list[Timed], saturated: list[Saturated]
) -> Figures:
    names = saturated[0].cpu_ms()
    return Figures(
        rate=spread([found.rate for found in saturated]),
        used=round(statistics.median(found.span.used for found in saturated), 2),
        cpu_ms={
            process: round(statistics.median(found.cpu_ms()[process] for found in saturated), 1)
            for process in names
        },
        create=quantiles([one.create for one in timed]),
        provider=await _provider(stage, side.name, len(timed)),
        acknowledge=quantiles([one.acknowledge for one in timed]),
        webhook=quantiles([one.webhook for one in timed]),
        history=await _history(stage, side),
        tables=None,
    )


async def _provider(stage: Stage, name: str, orders: int) -> Quantiles | None:
    """Of the provider's own answers; None where none is asked for."""
    if name in (FLOOR, STORE):
        return None
    return quantiles(await provider_seconds(stage.system, name, orders))


async def _history(stage: Stage, side: Side) -> History:
    """Of one more payment, notified as soon as it is made."""
    opened = await side.create()
    await side.pay(opened)
    await side.notified(opened)
    if side.name == FLOOR:
        return await history(stage.client, f"floor-{opened.id}")
    return await history_of_payment(stage.client, opened.id)


def _ratios(ours: Figures, base: Figures, rates: list[float]) -> Ratios:
    provider = ours["provider"]
    whole, least = ours["cpu_ms"], sum(base["cpu_ms"].values())
    outside = whole["sandbox"] + whole["bench"] - base["cpu_ms"]["bench"]
    without = ours["create"]["p50"] - (provider["p50"] if provider else 0.0)
    return Ratios(
        rate=spread(rates),
        create=round(ours["create"]["p50"] / base["create"]["p50"], 3),
        create_without_provider=round(without / base["create"]["p50"], 3),
        acknowledge=round(ours["acknowledge"]["p50"] / base["acknowledge"]["p50"], 3),
        cpu=round(sum(whole.values()) / least, 3),
        cpu_of_ours=round((sum(whole.values()) - outside) / least, 3),
        temporal_cpu=round(whole["temporal"] / base["cpu_ms"]["temporal"], 3),
    )


def _noise(saturated: dict[str, list[Saturated]], load_before: float) -> Noise:
    spans = [found.span for rounds in saturated.values() for found in rounds]
    return Noise(
        cores=os.cpu_count() or 1,
        foreign=spread([span.foreign for span in spans]),
        steal=spread([span.steal for span in spans]),
        waiting=spread([span.waiting for span in spans]),
        load_before=round(load_before, 2),
    )
