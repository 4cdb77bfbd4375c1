"""The addresses of merchants' hosts, looked up so that one name server can't hold the others.

The system's resolver blocks a thread for as long as a name server is silent (10 s by default),
whoever still waits for it. asyncio's own threads are few, and providers' names are looked up there.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from webhooks.targets import addresses_of

# So many hosts with a silent name server delay the others. Each costs a thread, some 50 KB.
THREADS = 32


class HostResolver:
    """Looks hosts up on threads of its own, each host on one thread at most."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="webhook-host")
        self._under_way: dict[str, asyncio.Future[list[str]]] = {}

    async def __call__(self, host: str, port: int) -> list[str]:
        """Return the host's addresses, best first. Raises OSError; the caller sets the limit.

        Who gives up leaves the look-up under way, and the next one joins it.
        """
        found = self._under_way.get(host)
        if found is None:
            loop = asyncio.get_running_loop()
            found = loop.run_in_executor(self._threads, addresses_of, host, port)
            self._under_way[host] = found
            found.add_done_callback(partial(self._forget, host))
        return await asyncio.shield(found)

    def _forget(self, host: str, found: asyncio.Future[list[str]]) -> None:
        del self._under_way[host]
        if not found.cancelled():
            # Read, for nobody may be waiting any more.
            found.exception()
