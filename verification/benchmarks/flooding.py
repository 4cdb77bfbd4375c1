"""One merchant floods: do another merchant's payments feel it?

The other merchant's steady load is measured in four ways, in turn: alone, with the flood, with
a stranger's flood of forged notifications, and with the control, which is the same client with
as many connections against a trivial server. What the control costs is the load generator's share
of this machine, not the API's.
"""

import asyncio
import json
import sys
import time
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple, TypedDict

from cli.embedded.application import ROOT
from verification.benchmarks.figures import Quantiles, quantiles
from verification.benchmarks.flooder import READY, Flood, Flooded
from verification.benchmarks.load import at_rate
from verification.benchmarks.merchant import ACCOUNTS, Merchant, register
from verification.benchmarks.sides import BenchError
from verification.benchmarks.stage import Stage

PROVIDER = "wechatpay"
CONNECTIONS = 60
ALONE, FLOODED = "alone", "with a flooding merchant"
FORGED, CONTROL = "with forged notifications", "with the control"
PHASES = (ALONE, FLOODED, FORGED, CONTROL)
# Payments of the flood that are paid at the same time once it is over.
_PAID_AT_ONCE = 8
_EXTRA_SECONDS = 60.0


class Sample(NamedTuple):
    """Seconds of one payment; nothing is notified where the checkout came too late (202)."""

    create: float
    acknowledge: float | None


class Flooding(TypedDict):
    """The other merchant's creates and acknowledged notifications by phase; the flood's answers."""

    rate: float
    connections: int
    create: dict[str, Quantiles]
    acknowledge: dict[str, Quantiles]
    answers: dict[str, dict[str, float]]
    p99_ratio: float


async def compare_flooded(stage: Stage, rate: float, seconds: float, rounds: int) -> Flooding:
    """`rate` payments a second of one merchant, `seconds` of each phase a round."""
    quiet = stage.merchants[PROVIDER]
    _, key = await register(stage.system, stage.ends)
    urls = (stage.system.api_url, stage.system.sandbox_url)
    flooding = Merchant(PROVIDER, key, urls, stage.ends)
    found: dict[str, list[Sample]] = {phase: [] for phase in PHASES}
    floods: dict[str, list[Flooded]] = {phase: [] for phase in PHASES if phase != ALONE}
    try:
        await _steady(quiet, rate, 2 / rate)
        for number in range(rounds):
            # Each phase comes first and last in turn: what one leaves behind meets all.
            turn = number % len(PHASES)
            for phase in (*PHASES[turn:], *PHASES[:turn]):
                if phase == ALONE:
                    found[phase] += await _steady(quiet, rate, seconds)
                    continue
                flood = _flood(stage.system.api_url, phase, key, seconds)
                timed, flooded = await _during(quiet, flood, rate)
                found[phase] += timed
                floods[phase].append(flooded)
                await _pay(flooding, flooded["created"])
    finally:
        await flooding.close()
    return _judged(rate, found, floods)


def _flood(url: str, phase: str, key: str, seconds: float) -> Flood:
    order: dict[str, Any] = {"provider": PROVIDER, "account": ACCOUNTS[PROVIDER], "channel": "qr"}
    order |= {"amount": 1999, "subject": "明前龙井", "expires_in": 7200}
    notify = f"/notify/{PROVIDER}/{ACCOUNTS[PROVIDER]}"
    return Flood(
        url=None if phase == CONTROL else url,
        path=notify if phase == FORGED else "/v1/payments",
        key=key,
        body=order,
        connections=CONNECTIONS,
        seconds=seconds,
    )


async def _steady(merchant: Merchant, rate: float, seconds: float) -> list[Sample]:
    async def one() -> Sample:
        begun = time.perf_counter()
        payment = await merchant.post(or_later=True)
        create = time.perf_counter() - begun
        if not payment["checkout"]:
            await merchant.finish(payment)
            return Sample(create, None)
        return Sample(create, await merchant.pay_and_notify(payment))

    return await at_rate(one, rate, seconds)


async def _during(merchant: Merchant, flood: Flood, rate: float) -> tuple[list[Sample], Flooded]:
    """The merchant's payments from the flood's first request to its last."""
    command = (sys.executable, "-m", "verification.benchmarks.flooder")
    child = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdin=PIPE, stdout=PIPE, limit=2**26
    )
    if child.stdin is None or child.stdout is None:
        raise BenchError("the flooding client has no pipes")
    try:
        async with asyncio.timeout(_EXTRA_SECONDS + flood["seconds"]):
            if (await child.stdout.readline()).decode().strip() != READY:
                raise BenchError("the flooding client did not start")
            child.stdin.write(json.dumps(flood).encode() + b"\n")
            timed, answered = await asyncio.gather(
                _steady(merchant, rate, flood["seconds"]), child.stdout.read()
            )
            await child.wait()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    flooded: Flooded = json.loads(answered)
    return timed, flooded


async def _pay(merchant: Merchant, payments: Sequence[dict[str, Any]]) -> None:
    """Finish the flood's payments, so that none is polled while the next phase is measured."""
    left = iter(payments)

    async def one_after_the_other() -> None:
        for payment in left:
            await merchant.finish(payment)

    await asyncio.gather(*(one_after_the_other() for _ in range(_PAID_AT_ONCE)))


def _judged(
    rate: float, found: dict[str, list[Sample]], floods: dict[str, list[Flooded]]
) -> Flooding:
    create = {phase: quantiles([one.create for one in timed]) for phase, timed in found.items()}
    acknowledged = {
        phase: quantiles([one.acknowledge for one in timed if one.acknowledge is not None])
        for phase, timed in found.items()
    }
    return Flooding(
        rate=rate,
        connections=CONNECTIONS,
        create=create,
        acknowledge=acknowledged,
        answers={phase: _a_second(flooded) for phase, flooded in floods.items()},
        p99_ratio=round(create[FLOODED]["p99"] / create[ALONE]["p99"], 3),
    )


def _a_second(floods: Sequence[Flooded]) -> dict[str, float]:
    total: Counter[str] = Counter()
    for flooded in floods:
        total.update(flooded["answers"])
    seconds = sum(flooded["seconds"] for flooded in floods)
    return {status: round(count / seconds, 1) for status, count in sorted(total.items())}
