from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import httpx

from sandbox.app import create_app
from tests.sandbox.receiver import Receiver
from tests.sandbox.rig import Rig

# A file of the state that `/_sandbox/reset` clears.
STATE = "sandbox.sqlite3"


class Sandboxes:
    """One sandbox for test after test: to build one takes longer than most tests.

    A reset clears what happened in it. What outlives a reset (a rotated key, a setting of the app
    store) is in files: where a test changed one, the next test gets a new sandbox.
    """

    def __init__(self, new_folder: Callable[[], Path], origin: str) -> None:
        self._new_folder = new_folder
        self._origin = origin
        self._running = AsyncExitStack()
        self._rig: Rig | None = None
        self._files: dict[str, bytes] = {}

    async def take(self) -> Rig:
        """Return a sandbox as good as new."""
        if self._rig is None or self._files != _files(self._rig.folder):
            await self.close()
            self._rig = await self._start(self._new_folder())
            self._files = _files(self._rig.folder)
        return self._rig

    async def reset(self) -> None:
        """Clear what the test did, also where it left notifications under way."""
        if self._rig is not None:
            await self._rig.control("reset")
            self._rig.receiver.clear()

    async def close(self) -> None:
        """Stop the one that runs."""
        self._rig = None
        await self._running.aclose()

    async def _start(self, folder: Path) -> Rig:
        receiver = Receiver()
        app = create_app(folder, self._origin, transport=receiver)
        await self._running.enter_async_context(app.router.lifespan_context(app))
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=self._origin)
        await self._running.enter_async_context(client)
        return Rig(client, folder, receiver)


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(STATE)
    }
