import asyncio
from datetime import UTC, datetime, timedelta

from sandbox.clock import Clock


def test_now_is_beijing_time_plus_the_offset() -> None:
    clock = Clock(scale=1000)
    clock.adjust(offset=timedelta(hours=1))
    ahead = clock.now() - datetime.now(UTC)
    assert timedelta(minutes=59) < ahead < timedelta(minutes=61)
    assert clock.now().utcoffset() == timedelta(hours=8)


async def test_waiting_passes_faster_than_the_wall_clock() -> None:
    clock = Clock(scale=10_000)
    async with asyncio.timeout(5):
        await clock.sleep(3600)


async def test_who_waits_learns_of_a_change_at_once() -> None:
    clock = Clock()
    waiting = asyncio.create_task(clock.sleep(3600))
    await asyncio.sleep(0)
    clock.adjust(scale=1e9)
    async with asyncio.timeout(5):
        await waiting


async def test_an_offset_ends_a_wait_too() -> None:
    clock = Clock()
    waiting = asyncio.create_task(clock.sleep(3600))
    await asyncio.sleep(0)
    clock.adjust(offset=timedelta(hours=2))
    async with asyncio.timeout(5):
        await waiting


def test_what_is_past_depends_on_the_scale() -> None:
    clock = Clock()
    start = clock.now()
    assert not clock.is_past(start, start + timedelta(hours=1))
    clock.adjust(scale=1e12)
    assert clock.is_past(start, start + timedelta(hours=1))
