import asyncio
from datetime import datetime, timedelta, timezone

BEIJING = timezone(timedelta(hours=8))


class Clock:
    """Real time for signatures, faster time for waiting.

    `now()` is the wall clock in Beijing plus `offset`. Waits (retry ladders, order expiry,
    pending answers) pass `scale` times faster, so that a 25 hour ladder fits into a test.
    """

    def __init__(self, scale: float = 1.0) -> None:
        self._first_scale = scale
        self._scale = scale
        self._offset = timedelta()
        self._changed = asyncio.Event()

    @property
    def scale(self) -> float:
        """How many seconds of waiting pass in one real second."""
        return self._scale

    @property
    def offset(self) -> timedelta:
        """How far `now()` is ahead of the wall clock."""
        return self._offset

    def adjust(self, *, scale: float | None = None, offset: timedelta | None = None) -> None:
        """Change the clock; everybody who waits re-counts at once."""
        self._scale = self._scale if scale is None else scale
        self._offset = self._offset if offset is None else offset
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def reset(self) -> None:
        """Go back to how the clock started."""
        self.adjust(scale=self._first_scale, offset=timedelta())

    def now(self) -> datetime:
        """The time that goes into signatures and records."""
        return datetime.now(BEIJING) + self._offset

    def elapsed(self, since: datetime) -> float:
        """Scaled seconds that have passed since `since`."""
        return (self.now() - since).total_seconds() * self._scale

    def is_past(self, since: datetime, until: datetime) -> bool:
        """Whether the scaled way from `since` to `until` is over."""
        return self.elapsed(since) >= (until - since).total_seconds()

    async def wait(self, since: datetime, seconds: float) -> None:
        """Return once `seconds` scaled seconds have passed since `since`."""
        while (left := (seconds - self.elapsed(since)) / self._scale) > 0:
            try:
                await asyncio.wait_for(self._changed.wait(), timeout=left)
            except TimeoutError:
                continue

    async def sleep(self, seconds: float) -> None:
        """Wait `seconds` scaled seconds from now."""
        await self.wait(self.now(), seconds)
