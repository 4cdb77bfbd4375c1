"""One implementation's rate on one core.

Standard library only: an SDK's interpreter runs it too.
"""

import json
import sys
import time
from collections.abc import Callable

MESSAGE = b"app_id=2021&biz_content=" + b"x" * 500


Action = Callable[[], object]
_AT_ONCE = 20


def report(sign: Action, verify: Action, seconds: float, ours: Action | None = None) -> None:
    """Print operations a second of processor time, which other people's load does not change.

    `ours` signs in turn with `sign`: in one process, with one library, block by block.
    """
    signing = {"sign": sign} if ours is None else {"sign": sign, "ours": ours}
    found = _rates(signing, seconds) | _rates({"verify": verify}, seconds)
    sys.stdout.write(json.dumps(found) + "\n")


def _rates(actions: dict[str, Action], seconds: float) -> dict[str, float]:
    spent = dict.fromkeys(actions, 0.0)
    blocks = 0
    for action in actions.values():
        _block(action)
    while min(spent.values()) < seconds:
        for name, action in actions.items():
            spent[name] += _block(action)
        blocks += 1
    return {name: blocks * _AT_ONCE / taken for name, taken in spent.items()}


def _block(action: Action) -> float:
    begun = time.process_time()
    for _ in range(_AT_ONCE):
        action()
    return time.process_time() - begun
