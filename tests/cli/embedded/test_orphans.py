import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process

import pytest

from cli.embedded.config import StackConfig
from cli.embedded.stack import Stack
from tests.cli.embedded.processes import alive, descendants, gone, kill_all

pytestmark = pytest.mark.stack


async def start_parent(config: StackConfig) -> Process:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.cli.embedded.run_stack", str(config.state_dir), stdout=PIPE
    )
    assert parent.stdout is not None
    assert await parent.stdout.readline() == b"ready\n"
    return parent


async def test_killing_the_parent_leaves_no_process_behind(servers: StackConfig) -> None:
    parent = await start_parent(servers)
    family = descendants(parent.pid)
    assert len(family) > 4, "the servers, and PostgreSQL's own processes"

    os.kill(parent.pid, signal.SIGKILL)
    await parent.wait()
    await gone(family)

    async with Stack(servers) as stack:
        assert alive(stack.process("postgres"))


async def test_killing_everything_at_once_still_starts_again(servers: StackConfig) -> None:
    parent = await start_parent(servers)
    family = descendants(parent.pid)

    kill_all([parent.pid, *family])
    await parent.wait()

    async with Stack(servers) as stack:
        assert alive(stack.process("temporal"))
    await gone(family)


async def test_an_interrupt_stops_everything(servers: StackConfig) -> None:
    parent = await start_parent(servers)
    family = descendants(parent.pid)

    parent.send_signal(signal.SIGINT)
    await parent.wait()

    assert not any(alive(pid) for pid in family)
