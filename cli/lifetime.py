"""Commands that run until they are stopped, and then stop everything they started."""

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

# Ctrl-C is asyncio's own; these end a command just as cleanly (systemd, a closed terminal).
ENDINGS = (signal.SIGTERM, signal.SIGHUP)


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run to the end, or to a signal, after which `main`'s contexts are left in order.

    A second Ctrl-C gives up waiting; the kernel then ends every child with this process.
    """
    with suppress(KeyboardInterrupt, asyncio.CancelledError):
        asyncio.run(_until_signal(main))


async def _until_signal(main: Coroutine[Any, Any, None]) -> None:
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    for ending in ENDINGS:
        # nohup ignores a closed terminal for us; that stays.
        if task is not None and signal.getsignal(ending) is not signal.SIG_IGN:
            loop.add_signal_handler(ending, task.cancel)
    await main
