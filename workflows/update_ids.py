"""The ids of the updates that the API sends, chosen so that a workflow never runs out of updates.

Temporal bounds the updates of a workflow execution (`history.maxTotalUpdates`, 2,000 by default)
and afterwards refuses every new one: the operator's `resolve` too. An update whose id was used
before counts once and returns the first outcome. A caller that repeats a request therefore repeats
its id, from whichever API process.
"""

import math
from datetime import datetime

# A payment never asks for more updates than this by `sync`, however often and long it is called.
SYNC_BUDGET = 1_100
# Seconds. One window while the payment is young.
_SHORTEST_WINDOW = 5.0
# From here on a window lasts a fiftieth of the payment's age, so that their number grows with the
# logarithm of the age: 218 in two hours, 512 in a month, 637 in a year.
_WINDOWS_PER_AGE = 50
_EVEN_UNTIL = _SHORTEST_WINDOW * _WINDOWS_PER_AGE

CANCEL = "cancel"


def sync_window(age: float) -> int:
    """Return the number of the window that a payment of this age (seconds) is in.

    Every `sync` within one window is one query at the provider. A clock that is behind the
    payment's creation is in the first window.
    """
    if age < _EVEN_UNTIL:
        return int(max(age, 0.0) / _SHORTEST_WINDOW)
    return _WINDOWS_PER_AGE + int(_WINDOWS_PER_AGE * math.log(age / _EVEN_UNTIL))


def sync_id(created_at: datetime, now: datetime) -> str:
    """Return the id of a `sync` sent now to a payment that was created then."""
    return f"sync-{sync_window((now - created_at).total_seconds())}"


def checkout_id(request_hash: str) -> str:
    """Return the id of the `checkout` that a request to create a payment waits for."""
    return f"checkout-{request_hash[:32]}"


def submitted_id(request_hash: str) -> str:
    """Return the id of the `submitted` that a request to create a refund waits for."""
    return f"submitted-{request_hash[:32]}"
