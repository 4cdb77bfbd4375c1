"""Health check of a container: is this address answering, and is this metric above zero?

Usage: python -m deploy.probe URL [METRIC]. Standard library only; exits 0 or 1.
"""

import sys
import urllib.request

TIMEOUT_SECONDS = 3


def is_healthy(url: str, metric: str | None = None) -> bool:
    """Whether `url` answers 200 and, where a metric is named, any of its samples is above 0."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - our own
            text = answer.read().decode()
    except (OSError, ValueError):
        return False
    return metric is None or any(value > 0 for value in _samples(text, metric))


def _samples(text: str, metric: str) -> list[float]:
    """The metric's values in a Prometheus text page, whatever their labels."""
    return [
        float(line.rsplit(" ", 1)[1])
        for line in text.splitlines()
        if line.startswith((f"{metric} ", f"{metric}{{"))
    ]


if __name__ == "__main__":
    sys.exit(0 if is_healthy(*sys.argv[1:3]) else 1)
