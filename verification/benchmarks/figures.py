"""Samples and what they say."""

import statistics
from collections.abc import Sequence
from typing import TypedDict


class Quantiles(TypedDict):
    """Milliseconds."""

    n: int
    p50: float
    p99: float


class Spread(TypedDict):
    """A figure of several rounds: median and range."""

    median: float
    lowest: float
    highest: float


def quantiles(seconds: Sequence[float]) -> Quantiles:
    """Of times in seconds."""
    ordered = sorted(seconds)
    last = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return Quantiles(
        n=len(ordered),
        p50=round(statistics.median(ordered) * 1000, 2),
        p99=round(last * 1000, 2),
    )


def spread(rounds: Sequence[float]) -> Spread:
    """Of the same figure, round by round."""
    return Spread(
        median=round(statistics.median(rounds), 3),
        lowest=round(min(rounds), 3),
        highest=round(max(rounds), 3),
    )
