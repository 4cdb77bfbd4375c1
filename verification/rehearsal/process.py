"""One process of the rehearsal: started, stopped as a container is, or killed."""

import asyncio
import contextlib
import os
import pwd
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

READY_SECONDS = 120.0
_LOOK_EVERY = 0.1

Probe = Callable[[], Awaitable[bool]]


class NotReady(Exception):  # noqa: N818 - the name says what it is
    """A process that did not become ready; the message has the end of its log."""


class Service:
    """A process that can be started again.

    Args:
        name: of the log file, too.
        command, environment, folder: how it is started.
        ready: whether it serves.
        stop_seconds, stop_signal: as compose gives it.
        user: another user to run as, by name.
    """

    def __init__(  # noqa: PLR0913 - a process has as many traits
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        folder: Path,
        log: Path,
        ready: Probe,
        stop_seconds: float = 10.0,
        stop_signal: signal.Signals = signal.SIGTERM,
        user: str | None = None,
    ) -> None:
        self.name = name
        self.command, self.environment = list(command), dict(environment)
        self.folder = folder
        self._log, self._ready = log, ready
        self._stop_seconds, self._stop_signal = stop_seconds, stop_signal
        self._user = user
        self._process: asyncio.subprocess.Process | None = None

    @property
    def runs(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        """The process's id. NotReady before the first start."""
        if self._process is None:
            raise NotReady(f"{self.name} was never started")
        return self._process.pid

    async def start(self, *, wait: bool = True) -> None:
        """Start it; with `wait` return when it is ready. NotReady."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.command,
                env=self.environment,
                cwd=self.folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_becomes(self._user),
            )
        if wait:
            await self.wait_ready()

    async def wait_ready(self) -> None:
        """Return when it is ready. NotReady where it ends, or takes two minutes."""
        deadline = asyncio.get_running_loop().time() + READY_SECONDS
        while not await self._ready():
            if not self.runs or asyncio.get_running_loop().time() > deadline:
                raise NotReady(f"{self.name}: {self._log.read_text()[-2000:]}")
            await asyncio.sleep(_LOOK_EVERY)

    async def stop(self) -> bool:
        """Stop it as a container is stopped; by force, and False, where it takes too long."""
        return await self._end(self._stop_signal)

    async def kill(self) -> None:
        """End it as a crash does."""
        await self._end(signal.SIGKILL)

    async def _end(self, how: signal.Signals) -> bool:
        process = self._process
        if process is None or process.returncode is not None:
            return True
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(how)
        try:
            async with asyncio.timeout(self._stop_seconds):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            return False
        return True


async def run(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, user: str | None = None
) -> str:
    """Run a job of compose to its end; returns what it printed. NotReady where it fails."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=dict(environment),
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        preexec_fn=_becomes(user),
    )
    out, _ = await process.communicate()
    if process.returncode:
        raise NotReady(
            f"{' '.join(command)} ended with {process.returncode}: {out.decode()[-2000:]}"
        )
    return out.decode()


async def quietly(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a probe; returns its exit status."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=dict(environment),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    return await process.wait()


def other_user() -> str | None:
    """Who PostgreSQL runs as where we are root: it refuses to be root's."""
    return "nobody" if os.geteuid() == 0 else None


def _becomes(user: str | None) -> Callable[[], None] | None:
    """What makes a child that user's; None where it stays ours.

    The options `user` and `group` would do, but uvloop has none.
    """
    if user is None:
        return None
    entry = pwd.getpwnam(user)

    def become() -> None:
        os.setgroups([])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)

    return become
