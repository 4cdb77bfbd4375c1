"""Lets every step of every payment go on, except the one where something is to die.

A payment that has come to its point stays there with all that belongs to it, so that the kill
meets exactly that point, however long the other payments need to come to theirs.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from cli.embedded.config import Service
from verification.crash.gate import GO, LOSE
from verification.crash.point import Step, Trail

Line = asyncio.StreamWriter


@dataclass
class Watch:
    """One scenario under way: the names that its records go by, and where it is to stop."""

    names: dict[str, str]
    stop_at: Step | None = None
    trail: Trail = field(default_factory=Trail)
    held: Step | None = None
    held_at: float = 0.0
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    _parked: list[tuple[Line, int, bool]] = field(default_factory=list)

    def arrive(self, step: Step, line: Line, number: int) -> bool:
        """Whether the step may be taken; otherwise it waits."""
        if self.held is None and step == self.stop_at:
            self.held, self.held_at = step, asyncio.get_running_loop().time()
            self.reached.set()
            self._parked.append((line, number, True))
            return False
        if self.held is not None:
            self._parked.append((line, number, False))
        return self.held is None

    def release(self) -> None:
        """Go on: the victim is dead. What it had answered at the point itself is lost."""
        held, self.held, self.stop_at = self.held, None, None
        for line, number, at_the_point in self._parked:
            lost = at_the_point and held is not None and held.after
            _answer(line, number, LOSE if lost else GO)
        self._parked.clear()


class Conductor:
    """Listens to the gates of the worker and the API on a socket in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "gate"
        self._watches: dict[str, Watch] = {}

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Self]:
        """Answer steps while the block runs."""
        server = await asyncio.start_unix_server(self._serve, self.socket)
        try:
            yield self
        finally:
            server.close()

    def watch(self, names: dict[str, str], stop_at: Step | None = None) -> Watch:
        """Follow a scenario; `names` says which record an id (hex) is of."""
        watch = Watch(names, stop_at)
        for name in names:
            self._watches[name] = watch
        return watch

    def also(self, known: str, name: str, called: str) -> None:
        """What the scenario of a `known` name has come to be named, too: a store's own number."""
        if watch := self._watches.get(known):
            watch.names[name] = called
            self._watches[name] = watch

    async def _serve(self, reader: asyncio.StreamReader, line: Line) -> None:
        hello = json.loads(await reader.readline())
        process = Service(hello["process"])
        try:
            async for message in reader:
                self._hear(process, json.loads(message), line)
        except ConnectionError:
            pass  # killed, as it was to be
        finally:
            line.close()

    def _hear(self, process: Service, said: dict[str, Any], line: Line) -> None:
        found = self._find(said["about"])
        if found is None:
            _answer(line, said["number"], GO)
            return
        watch, run = found
        step = watch.trail.add(process, run, said["label"])
        if watch.arrive(step, line, said["number"]):
            _answer(line, said["number"], GO)

    def _find(self, about: Iterable[str]) -> tuple[Watch, str] | None:
        for text in about:
            kind, _, name = text.rpartition("-")
            if watch := self._watches.get(name):
                return watch, f"late {watch.names[name]}" if kind == "late" else watch.names[name]
        return None


def _answer(line: Line, number: int, answer: str) -> None:
    if not line.is_closing():
        line.write(json.dumps({"number": number, "answer": answer}).encode() + b"\n")
