"""PostgreSQL where we are root: another user runs it, whatever folder this checkout is in."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest

from cli.embedded import postgres_programs
from cli.embedded.config import Service, StackConfig
from cli.embedded.errors import PostgresUserError, ProgramFailedError
from cli.embedded.postgres_programs import PACKAGE, User, programs_for, unprivileged_user
from cli.embedded.stack import Stack

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to have another user run it")


@pytest.fixture
def user() -> User:
    user = unprivileged_user()
    assert user is not None
    return user


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder in which every user can run programs; pytest's own is closed to others."""
    folder = Path("/var/tmp") / f"paysaga-test-{os.getpid()}"  # noqa: S108 - made by root, 0755
    folder.mkdir()
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def closed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The installed programs, in a folder that only root can enter."""
    package = tmp_path / "closed" / PACKAGE.name
    for part in postgres_programs.PARTS:
        shutil.copytree(PACKAGE.parent / part, package.parent / part)
    for path in package.parent.rglob("*"):
        path.chmod(path.stat().st_mode & 0o700)  # as a clone under umask 077
    package.parent.chmod(0o700)
    monkeypatch.setattr(postgres_programs, "PACKAGE", package)
    monkeypatch.setattr(postgres_programs, "BINARIES", package / "pginstall18" / "bin")
    return package


@as_root
def test_programs_in_a_closed_folder_are_copied_to_one_where_the_user_can_run_them(
    closed_package: Path, open_folder: Path, user: User
) -> None:
    binaries = programs_for(user, [open_folder / "cache"])

    assert binaries.is_relative_to(open_folder)
    assert programs_for(user, [open_folder / "cache"]) == binaries
    assert [path.name for path in (open_folder / "cache").iterdir()] == [
        binaries.relative_to(open_folder / "cache").parts[0]
    ]
    uid, gid = user
    for program in ("initdb", "postgres"):
        command = [str(binaries / program), "--version"]
        done = subprocess.run(command, user=uid, group=gid, extra_groups=[], check=True, cwd="/")  # noqa: S603
        assert done.returncode == 0
    writable = [path for path in open_folder.rglob("*") if path.stat().st_mode & 0o022]
    assert writable == []


@as_root
@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o775])
def test_a_folder_that_others_can_write_to_holds_no_copy(
    closed_package: Path, open_folder: Path, user: User, mode: int
) -> None:
    shared, private = open_folder / "shared", open_folder / "private"
    shared.mkdir()
    shared.chmod(mode)

    assert programs_for(user, [shared, private]).is_relative_to(private)
    assert list(shared.iterdir()) == []


@as_root
def test_a_link_or_a_strangers_folder_holds_no_copy(
    closed_package: Path, open_folder: Path, user: User
) -> None:
    strangers, link = open_folder / "strangers", open_folder / "link"
    strangers.mkdir()
    os.chown(strangers, *user)
    link.symlink_to(open_folder)

    with pytest.raises(PostgresUserError, match="strangers: is not a folder that root alone"):
        programs_for(user, [strangers, link])


@as_root
def test_where_the_user_can_run_it_from_nowhere_the_message_says_why_and_what_to_do(
    closed_package: Path, tmp_path: Path, user: User
) -> None:
    with pytest.raises(PostgresUserError) as failure:
        programs_for(user, [tmp_path / "closed too", tmp_path / "none" / "below"])

    message = str(failure.value)
    assert (
        f"{postgres_programs.BINARIES}: 'nobody' cannot run initdb (Permission denied)" in message
    )
    assert "closed too: 'nobody' cannot run initdb (Permission denied)" in message
    assert "below: No such file or directory" in message
    assert "Run Paysaga as an ordinary user" in message
    assert "PAYSAGA_DATABASE_URL" in message


@as_root
def test_a_root_that_may_not_become_another_user_learns_the_reason(
    tmp_path: Path,
) -> None:
    command = ["setpriv", "--bounding-set=-setuid,-setgid", "--inh-caps=-setuid,-setgid"]
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv (util-linux) takes the capabilities away")
    code = "from cli.embedded.postgres_programs import *; unprivileged_user()"
    done = subprocess.run(  # noqa: S603 - the test's own code
        [*command, sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )

    assert "without CAP_SETGID, CAP_SETUID" in done.stderr


@as_root
def test_what_a_killed_copy_left_is_replaced(
    closed_package: Path, open_folder: Path, user: User
) -> None:
    left = open_folder / "cache" / "unfinished" / PACKAGE.name / "pginstall18" / "bin"
    left.mkdir(parents=True)
    (left / "half").touch()

    binaries = programs_for(user, [open_folder / "cache"])

    assert not (binaries / "half").exists()
    assert not (open_folder / "cache" / "unfinished").exists()


@as_root
@pytest.mark.parametrize("damage", ["missing", "empty"])
def test_a_damaged_copy_is_replaced(
    closed_package: Path, open_folder: Path, user: User, damage: str
) -> None:
    binaries = programs_for(user, [open_folder / "cache"])
    lost = binaries.parent / "share" / "postgresql" / "timezonesets" / "Default"
    content = lost.read_text()
    lost.unlink()
    if damage == "empty":
        lost.touch()

    assert programs_for(user, [open_folder / "cache"]) == binaries
    assert lost.read_text() == content


@as_root
def test_processes_that_copy_at_the_same_time_all_find_one_whole_copy(
    closed_package: Path, open_folder: Path, user: User
) -> None:
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(programs_for, user, [open_folder / "cache"]) for _ in range(8)]
        found = {call.result() for call in calls}

    assert len(found) == 1
    assert len(list((open_folder / "cache").iterdir())) == 1


@as_root
@pytest.mark.parametrize("closed", ["bin/initdb", "share/postgresql/postgres.bki", "lib"])
def test_programs_whose_files_the_user_cannot_all_read_are_copied(
    closed_package: Path,
    open_folder: Path,
    user: User,
    monkeypatch: pytest.MonkeyPatch,
    closed: str,
) -> None:
    package = open_folder / PACKAGE.name
    shutil.copytree(closed_package.parent, open_folder, dirs_exist_ok=True)
    for path in (open_folder, *open_folder.rglob("*")):
        path.chmod(0o755)
    monkeypatch.setattr(postgres_programs, "PACKAGE", package)
    monkeypatch.setattr(postgres_programs, "BINARIES", package / "pginstall18" / "bin")
    assert programs_for(user, []) == package / "pginstall18" / "bin"

    (package / "pginstall18" / closed).chmod(0o711)

    assert programs_for(user, [open_folder / "cache"]).is_relative_to(open_folder / "cache")


def test_a_user_without_a_name_is_rejected_before_initdb_rejects_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 61234)

    with pytest.raises(PostgresUserError, match="/etc/passwd has none for 61234"):
        unprivileged_user()


@as_root
@pytest.mark.stack
async def test_a_closed_checkout_has_its_database_and_its_data_stay_there_closed_to_others(
    closed_package: Path,
    open_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    only: Callable[[Service], StackConfig],
) -> None:
    monkeypatch.setattr("cli.embedded.postgres.COPY_FOLDERS", [open_folder / "cache"])
    config = only(Service.POSTGRES)
    config.state_dir.parent.chmod(0o700)

    async with Stack(config) as stack:
        connection = await asyncpg.connect(stack.database_owner_url.replace("+asyncpg", ""))
        await connection.execute("CREATE TABLE teapots (colour text)")
        await connection.close()
        data = config.state_dir / "postgres" / "data"
        assert (data / "postmaster.pid").read_text().startswith(f"{stack.process('postgres')}\n")
        status = status_of(stack.process("postgres"))
        assert "CapEff:\t0000000000000000" in status
        assert f"Uid:\t{data.stat().st_uid}\t" in status

    assert {data.stat().st_mode & 0o777, data.parent.stat().st_mode & 0o777} == {0o700}
    assert data.parent.stat().st_uid == 0
    copied = [path.name for path in (open_folder / "cache").rglob("*")]
    assert "postgres" in copied
    assert "PG_VERSION" not in copied


def status_of(process: int) -> str:
    return Path(f"/proc/{process}/status").read_text()


@pytest.mark.parametrize("character", ['"', "$", "`"])
def test_a_path_that_initdbs_shell_would_misread_is_rejected_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, character: str
) -> None:
    binaries = tmp_path / f"tea{character}house" / "bin"
    binaries.mkdir(parents=True)
    monkeypatch.setattr(postgres_programs, "BINARIES", binaries)

    with pytest.raises(ProgramFailedError, match=r"Move this folder"):
        programs_for(None, [])


def test_an_ordinary_user_runs_the_installed_programs() -> None:
    assert programs_for(None, []) == postgres_programs.BINARIES
