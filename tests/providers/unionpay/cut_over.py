"""UnionPay's settlement day ends at 23:00 in Beijing; nothing is undone in its last minutes.

Tests with the real clock cannot see an undo then: the product refunds instead.
"""

from datetime import UTC, datetime, time

import pytest

from providers.kit.beijing import in_beijing

BEGINS, ENDS = time(22, 50), time(23, 0)


def skip_at_cut_over() -> None:
    """Skip the test where an undo may not be made while it runs."""
    if BEGINS <= in_beijing(datetime.now(UTC)).time() < ENDS:
        pytest.skip("UnionPay's settlement day ends at 23:00 in Beijing: nothing is undone now")
