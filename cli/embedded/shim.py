"""The last step before a child's own program: run by path, in the child, on the standard library.

Usage: `python -I -S shim.py '<json>'` with the keys of `Orders`. It keeps the process id.
Between fork and exec of a process with threads almost nothing is safe to do; after an exec of a
fresh interpreter everything is.
"""

import ctypes
import fcntl
import json
import os
import sys
import time
from typing import TypedDict

PR_SET_PDEATHSIG = 1
LOCK_WAIT_SECONDS = 2.0
EXIT_LOCKED = 75


class Orders(TypedDict):
    """What to do before the exec.

    Attributes:
        command: the program's absolute path and its arguments.
        parent: pid of the supervisor; the child must not outlive it.
        death_signal: what the kernel sends the child when the supervisor dies.
        user: (uid, gid) to become, or null to stay.
        lock: a file that the program holds locked for as long as it lives, or null.
    """

    command: list[str]
    parent: int
    death_signal: int
    user: tuple[int, int] | None
    lock: str | None


def main() -> None:
    """Follow the orders, then become the program."""
    orders: Orders = json.loads(sys.argv[1])
    os.setsid()  # Ctrl-C in the terminal is the supervisor's to handle, in its order.
    if orders["lock"] is not None:
        hold_lock(orders["lock"])
    if orders["user"] is not None:
        become(*orders["user"])
    # After the change of user, for that clears it (prctl(2), PR_SET_PDEATHSIG).
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, orders["death_signal"], 0, 0, 0)
    if os.getppid() != orders["parent"]:
        sys.exit("the supervisor is gone")
    os.execv(orders["command"][0], orders["command"])  # noqa: S606 - becoming it is the point


def hold_lock(path: str) -> None:
    """Take the lock on a descriptor that the program inherits, so that it dies with it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    give_up = time.monotonic() + LOCK_WAIT_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > give_up:
                sys.stderr.write(f"another process holds {path}\n")
                sys.exit(EXIT_LOCKED)
            time.sleep(0.05)
    os.set_inheritable(descriptor, True)


def become(uid: int, gid: int) -> None:
    """Become another user, with none of root's capabilities and groups."""
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


if __name__ == "__main__":
    main()
