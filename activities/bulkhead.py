"""A share of a process's slots: whoever hangs takes no more of them.

Steps within workflow tasks share its local slots (a hundred by default), deliveries by the queue
those of its webhook worker.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from activities.errors import still_pending


class Bulkhead:
    """At most `each` steps at once about one name, and `together` about all of them."""

    def __init__(self, each: int, together: int | None = None) -> None:
        self._each, self._together = each, together
        self._under_way: Counter[str] = Counter()

    @contextmanager
    def place(self, name: str) -> Iterator[None]:
        """Hold a place while the block runs. Raises `still_pending` where there is none."""
        whole = self._together is not None and self._under_way.total() >= self._together
        if whole or self._under_way[name] >= self._each:
            raise still_pending(f"too many steps about {name} are under way")
        self._under_way[name] += 1
        try:
            yield
        finally:
            self._under_way[name] -= 1
            if not self._under_way[name]:
                del self._under_way[name]
