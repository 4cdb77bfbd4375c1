"""What must hold, and whether it does."""

import shutil
from collections.abc import Collection, Iterator
from typing import TypedDict

from verification.benchmarks import signing
from verification.benchmarks.comparing import Compared
from verification.benchmarks.flooding import Flooding
from verification.benchmarks.open_payments import OpenPayments
from verification.benchmarks.signing import Signing
from verification.benchmarks.starving import Starving

# Half of half of these is more than a process keeps ready: its memory must have come to rest.
MANY = 16_000
# The bars of each part of a run.
PARTS = {
    "compare": "payments/s, create, acknowledge and events, over the floor's",
    "signing": "signing",
    "open": "create with open payments",
    "starve": "create beside a hanging provider",
    "flood": "create with a flooding merchant",
}


class Bar(TypedDict):
    """One promise about speed, with what was found."""

    name: str
    wanted: str
    found: float
    holds: bool


def left_out(parts: Collection[str], held: int) -> list[str]:
    """What a run of these parts, with so many payments held, does not judge."""
    missing = [what for part, what in PARTS.items() if part not in parts]
    if "signing" in parts and shutil.which("openssl") is None:
        missing.append(f"signing over {signing.OPENSSL}: it is not installed")
    if "open" in parts and held < MANY:
        missing.append(f"memory with open payments: it takes {MANY} of them")
    return missing


def at_least(name: str, bound: float, found: float) -> Bar:
    """More is better."""
    return Bar(name=name, wanted=f">= {bound}", found=found, holds=found >= bound)


def at_most(name: str, bound: float, found: float) -> Bar:
    """Less is better."""
    return Bar(name=name, wanted=f"<= {bound}", found=found, holds=found <= bound)


def of_comparison(compared: Compared) -> Iterator[Bar]:
    """Ours against the floor."""
    for name, ratios in compared.ratios.items():
        yield at_least(f"{name}: payments/s over the floor's", 0.70, ratios["rate"]["median"])
        yield at_most(
            f"{name}: create p50 without the provider, over the floor's",
            1.5,
            ratios["create_without_provider"],
        )
        yield at_most(
            f"{name}: notify to acknowledged p50, over a bare signal", 2.0, ratios["acknowledge"]
        )
        events = compared.figures[name]["history"]["events"]
        yield at_most(f"{name}: history events", 24, events)


def of_signing(measured: Signing) -> Iterator[Bar]:
    """Signing against OpenSSL and the SDKs, each SDK on its own library."""
    for name, ratio in measured["ratios"].items():
        yield at_least(f"signing over {name}", 0.9 if name == signing.OPENSSL else 1.0, ratio)


def of_open_payments(held: OpenPayments) -> Iterator[Bar]:
    """What waiting payments cost a new one."""
    yield at_most(
        f"create p50 with {held['held']} open payments, over none", 1.3, held["create_ratio"]
    )
    if held["held"] >= MANY:
        for name, growth in held["growth"].items():
            yield at_most(f"{name}'s memory with all open, over half of them", 1.1, growth)


def of_starving(starved: Starving) -> Iterator[Bar]:
    """What a hanging provider costs another."""
    yield at_most(
        "create p99 beside a hanging provider, over a well one", 1.2, starved["p99_ratio"]
    )


def of_flooding(flooded: Flooding) -> Iterator[Bar]:
    """What a merchant that floods costs another merchant."""
    yield at_most("create p99 with a flooding merchant, over alone", 1.5, flooded["p99_ratio"])
