"""Commands as processes of their own, read by what they print."""

import asyncio
import os
from asyncio.subprocess import PIPE, STDOUT, Process


async def start(command: list[str], *arguments: str, until: str) -> tuple[Process, str]:
    """The running command, and what it printed up to the line with `until`."""
    process = await asyncio.create_subprocess_exec(
        *command, *arguments, stdout=PIPE, stderr=STDOUT, env=wide()
    )
    assert process.stdout is not None
    printed = ""
    while until not in printed:
        line = await process.stdout.readline()
        assert line, printed
        printed += line.decode()
    return process, printed


async def finish(command: list[str], *arguments: str) -> tuple[int | None, str]:
    """The command's exit status and output."""
    process = await asyncio.create_subprocess_exec(
        *command, *arguments, stdout=PIPE, stderr=STDOUT, env=wide()
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


def wide() -> dict[str, str]:
    """The environment of a wide terminal."""
    return dict(os.environ) | {"COLUMNS": "200"}
