"""The folder that a stack keeps everything in: one user's, and one stack's at a time."""

import fcntl
import os
import pwd
from pathlib import Path
from typing import IO

from cli.embedded.errors import StackFolderError, StackRunningError

LOCK = "lock"


def hold(state: Path) -> IO[str]:
    """Create the folder if there is none, and hold it until the returned file is closed.

    Raises:
        StackFolderError: another user has run a stack on it, or it cannot be written.
        StackRunningError: a stack runs on it.
    """
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        require_own(state)
        lock = (state / LOCK).open("a+")
    except OSError as error:
        raise StackFolderError(f"{state} cannot be written ({error.strerror})") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.seek(0)
        message = f"process {lock.read().strip()} already runs a stack in {state}"
        lock.close()
        raise StackRunningError(message) from error
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def require_own(state: Path) -> None:
    """Refuse a mix of two users' files, with which neither could run the stack later.

    Raises:
        StackFolderError: another user has run a stack on the folder.
    """
    owner = _owner(state)
    if owner is None or owner == os.geteuid():
        return
    raise StackFolderError(f"{state} holds the stack of {_name_of(owner)}")


def _owner(state: Path) -> int | None:
    """The user id of whoever ran a stack in the folder, None if nobody did."""
    try:
        return (state / LOCK).stat().st_uid
    except FileNotFoundError:
        return None
    except PermissionError:
        return state.stat().st_uid


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"the user with id {uid}"
