"""The side of a process that is to die: it asks before every step, and may never be answered."""

import asyncio
import itertools
import json
import os
from collections.abc import Sequence

SOCKET_VARIABLE = "PAYSAGA_CRASH_SOCKET"
PROCESS_VARIABLE = "PAYSAGA_CRASH_PROCESS"
GO = "go"
# The step was taken and its answer is lost: what a caller sees of a server that died just then.
LOSE = "lose"


class Gate:
    """A line to the conductor, opened at the first step; one a process."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[str]] = {}
        self._opening = asyncio.Lock()
        self._writer: asyncio.StreamWriter | None = None
        self._listening: asyncio.Task[None] | None = None

    async def step(self, about: Sequence[str], label: str) -> None:
        """Take the step once the conductor says so.

        `about` are texts that may name the payment. ConnectionResetError: its answer is lost.
        """
        if not about:
            return
        writer = await self._open()
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        line = json.dumps({"number": number, "about": list(about), "label": label})
        writer.write(line.encode() + b"\n")
        if await answer == LOSE:
            raise ConnectionResetError("the server died with the answer")

    async def _open(self) -> asyncio.StreamWriter:
        async with self._opening:
            if self._writer is None:
                reader, self._writer = await asyncio.open_unix_connection(
                    os.environ[SOCKET_VARIABLE]
                )
                hello = {"process": os.environ[PROCESS_VARIABLE], "pid": os.getpid()}
                self._writer.write(json.dumps(hello).encode() + b"\n")
                self._listening = asyncio.create_task(self._listen(reader))
            return self._writer

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        async for line in reader:
            told = json.loads(line)
            waiting = self._waiting.pop(told["number"])
            # A step may have been given up meanwhile: a local activity that ran out of time.
            if not waiting.done():
                waiting.set_result(told["answer"])
