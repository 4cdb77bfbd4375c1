"""One implementation's rate on one core.

Standard library only: an SDK's interpreter runs it too.
"""

import json
import sys
import time
from collections.abc import Callable

MESSAGE = b"app_id=2021&biz_content=" + b"x" * 500


def report(sign: Callable[[], object], verify: Callable[[], object], seconds: float) -> None:
    """Print operations a second of processor time, which other people's load does not change."""
    found = {"sign": _rate(sign, seconds), "verify": _rate(verify, seconds)}
    sys.stdout.write(json.dumps(found) + "\n")


def _rate(action: Callable[[], object], seconds: float) -> float:
    for _ in range(20):
        action()
    count, begun = 0, time.process_time()
    while (spent := time.process_time() - begun) < seconds:
        for _ in range(20):
            action()
        count += 20
    return count / spent
