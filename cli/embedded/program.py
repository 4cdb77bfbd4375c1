"""What a supervised program is, and how it is spawned so that it can't outlive us."""

import asyncio
import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from cli.embedded import shim
from cli.embedded.errors import ProgramFailedError

LOG_BYTES = 20_000_000
TAIL_LINES = 15


def _nothing() -> None:
    pass


@dataclasses.dataclass(frozen=True)
class Program:
    """One program of the stack.

    Attributes:
        name: its name in links, logs and messages.
        command: absolute path and arguments.
        ready: asks it once; False means not yet, an exception means never.
        log: where its output goes.
        environment: the whole of it, nothing is inherited.
        directory: where it runs.
        stop_signal: asks for a clean end.
        stop_seconds: patience after it.
        death_signal: the kernel's, when the supervisor dies.
        user: (uid, gid) to run as, None for ours.
        lock: file that it holds locked while it lives.
        prepare: runs before each start.
    """

    name: str
    command: Sequence[str]
    ready: Callable[[], Awaitable[bool]]
    log: Path
    environment: Mapping[str, str]
    directory: Path
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 15
    death_signal: signal.Signals = signal.SIGKILL
    user: tuple[int, int] | None = None
    lock: Path | None = None
    prepare: Callable[[], None] = _nothing

    def log_tail(self) -> str:
        """The last lines of the log."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-TAIL_LINES:])


async def spawn(program: Program) -> asyncio.subprocess.Process:
    """Start the program through the shim.

    Raises:
        RuntimeError: not on the main thread: the kernel's death signal follows the thread.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("programs are spawned from the main thread")
    program.prepare()
    orders = shim.Orders(
        command=list(program.command),
        parent=os.getpid(),
        death_signal=program.death_signal,
        user=program.user,
        lock=None if program.lock is None else str(program.lock),
    )
    with _open_log(program.log) as log:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-S",
            shim.__file__,
            json.dumps(orders),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=dict(program.environment),
            cwd=program.directory,
        )


async def run(program: Program) -> None:
    """Run a program to its end.

    Raises:
        ProgramFailedError: it ended with an error.
    """
    process = await spawn(program)
    try:
        code = await process.wait()
    finally:
        await end(process, program)
    if code != 0:
        raise ProgramFailedError(f"{program.name} ended with {code}:\n{program.log_tail()}")


async def end(process: asyncio.subprocess.Process, program: Program) -> None:
    """Ask the process to end, then make it; whatever it left in its session ends too."""
    if process.returncode is not None:
        return
    process.send_signal(program.stop_signal)
    try:
        await asyncio.wait_for(process.wait(), program.stop_seconds)
    except TimeoutError:
        _kill_session(process.pid)
        await process.wait()


def _kill_session(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        # It didn't get as far as its own session: only the one process is there.
        os.kill(leader, signal.SIGKILL)


def _open_log(path: Path) -> IO[bytes]:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    log = path.open("ab")
    log.write(f"--- started {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n".encode())
    log.flush()
    return log
