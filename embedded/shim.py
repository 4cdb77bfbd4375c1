"""The last step before a child's own program: run by path, in the child, on the standard library.

Usage: `python -I -S shim.py '<json>'` with the keys of `Orders`. It keeps the process id.
Between fork and exec of a process with threads almost nothing is safe to do; after an exec of a
fresh interpreter everything is.
"""

import ctypes
import fcntl
import json
import os
import struct
import sys
import time
from typing import TypedDict

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522
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
    """Become a plain user who may still reach files below root's own folders, where allowed.

    PostgreSQL refuses to run as root, yet a checkout under /root is closed to anybody else.
    """
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    bits = 1 << CAP_DAC_OVERRIDE
    header = struct.pack("=Ii", CAPABILITY_VERSION_3, 0)
    # effective, permitted, inheritable; then the upper 32 capabilities
    if libc.capset(header, struct.pack("=6I", bits, bits, bits, 0, 0, 0)) == 0:
        libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


if __name__ == "__main__":
    main()
