"""One program kept alive: started, awaited, started again when it dies, stopped on request."""

import asyncio
import logging
import time

from cli.embedded.errors import ProgramFailedError
from cli.embedded.program import Program, end, spawn

PROBE_FIRST_SECONDS = 0.05
PROBE_MAX_SECONDS = 0.3
START_ATTEMPTS = 3
# A program that lived this long had started well: the next death begins a new back-off.
STEADY_SECONDS = 10.0
BACKOFF_FIRST_SECONDS = 0.1
BACKOFF_MAX_SECONDS = 10.0

log = logging.getLogger(__name__)


class Child:
    """Supervises one program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._process: asyncio.subprocess.Process | None = None
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._was_ready = False

    @property
    def pid(self) -> int:
        """The program's process id.

        Raises:
            LookupError: it isn't running just now.
        """
        if self._process is None or self._process.returncode is not None:
            raise LookupError(f"{self.program.name} isn't running")
        return self._process.pid

    async def start(self) -> None:
        """Start the program and return when it is ready.

        Raises:
            ProgramFailedError: it died several times before it was ready.
        """
        self._was_ready = False
        self._task = asyncio.create_task(self._supervise(), name=self.program.name)
        await self.wait_ready()

    async def wait_ready(self) -> None:
        """Return when the program is ready: at once, or after its next start."""
        if self._task is None:
            raise ProgramFailedError(f"{self.program.name} is stopped")
        ready = asyncio.create_task(self._ready.wait())
        try:
            await asyncio.wait({ready, self._task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
        if self._task.done():
            self._task.result()

    async def watch(self) -> None:
        """Raise what ended the supervision, if ever something does."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def stop(self) -> None:
        """End the program and its supervision."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        self._ready.clear()
        if self._process is not None:
            await end(self._process, self.program)

    async def _supervise(self) -> None:
        failures = 0
        while True:
            started = time.monotonic()
            self._process = await spawn(self.program)
            await self._live(self._process)
            self._ready.clear()
            steady = time.monotonic() - started > STEADY_SECONDS
            failures = 0 if steady else failures + 1
            if not self._was_ready and failures >= START_ATTEMPTS:
                raise ProgramFailedError(
                    f"{self.program.name} doesn't start; {self.program.log} ends with\n"
                    f"{self.program.log_tail()}"
                )
            delay = min(BACKOFF_FIRST_SECONDS * 2**failures, BACKOFF_MAX_SECONDS)
            code = self._process.returncode
            log.warning("%s ended (%s), again in %.1f s", self.program.name, code, delay)
            await asyncio.sleep(delay)

    async def _live(self, process: asyncio.subprocess.Process) -> None:
        """Await readiness, then the end, whichever comes; a probe that raises ends it all."""
        exited = asyncio.create_task(process.wait())
        probing = asyncio.create_task(self._probe())
        try:
            await asyncio.wait({exited, probing}, return_when=asyncio.FIRST_COMPLETED)
            if probing.done():
                probing.result()
            await exited
        finally:
            exited.cancel()
            probing.cancel()

    async def _probe(self) -> None:
        wait = PROBE_FIRST_SECONDS
        while not await self.program.ready():
            await asyncio.sleep(wait)
            wait = min(wait * 1.5, PROBE_MAX_SECONDS)
        self._was_ready = True
        self._ready.set()
