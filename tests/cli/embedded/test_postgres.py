import os
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from cli.embedded.config import Service, StackConfig
from cli.embedded.errors import ProgramFailedError
from cli.embedded.stack import Stack
from storage.migrate import upgrade

pytestmark = pytest.mark.stack


async def ask(stack: Stack, question: str) -> object:
    connection = await asyncpg.connect(stack.database_owner_url.replace("+asyncpg", ""))
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


async def test_it_is_postgresql_18_with_checksums_and_fsync_on_loopback_alone(
    only: Callable[[Service], StackConfig],
) -> None:
    async with Stack(only(Service.POSTGRES)) as stack:
        assert str(await ask(stack, "SHOW server_version")).startswith("18.")
        assert await ask(stack, "SHOW data_checksums") == "on"
        assert await ask(stack, "SHOW fsync") == "on"
        assert await ask(stack, "SHOW server_encoding") == "UTF8"
        assert await ask(stack, "SHOW listen_addresses") == "127.0.0.1"


async def test_nobody_enters_without_the_password(only: Callable[[Service], StackConfig]) -> None:
    async with Stack(only(Service.POSTGRES)) as stack:
        _, _, place = stack.database_owner_url.partition("@")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(f"postgresql://paysaga:guess@{place}")
        password = stack.config.state_dir / "postgres" / "password"
        assert password.stat().st_mode & 0o777 == 0o600


async def test_a_folder_left_half_made_is_made_anew(only: Callable[[Service], StackConfig]) -> None:
    config = only(Service.POSTGRES)
    half_made = config.state_dir / "postgres" / "initdb" / "data"
    half_made.mkdir(parents=True)
    (half_made / "PG_VERSION").write_text("18\n")

    async with Stack(config) as stack:
        assert await ask(stack, "SELECT 1") == 1


@pytest.mark.parametrize("pid", [os.getpid(), 2**22 - 1], ids=["a stranger's", "a dead one"])
async def test_a_stale_pid_file_does_not_keep_it_from_starting(
    only: Callable[[Service], StackConfig], pid: int
) -> None:
    config = only(Service.POSTGRES)
    data = config.state_dir / "postgres" / "data"
    async with Stack(config):
        left_behind = copy_of(data / "postmaster.pid", pid)
    left_behind.rename(data / "postmaster.pid")

    async with Stack(config) as stack:
        assert await ask(stack, "SELECT 1") == 1


def copy_of(pid_file: Path, pid: int) -> Path:
    """What a crash would leave, had the server had this process id."""
    copy, status = pid_file.with_suffix(".copy"), pid_file.stat()
    copy.write_text("\n".join([str(pid), *pid_file.read_text().splitlines()[1:], ""]))
    os.chown(copy, status.st_uid, status.st_gid)
    return copy


async def test_a_folder_of_a_release_with_one_role_gets_the_other(
    only: Callable[[Service], StackConfig],
) -> None:
    config = only(Service.POSTGRES)
    async with Stack(config) as stack:
        # As it was: no second role, no password of it, and everything granted to everyone.
        await upgrade(stack.database_owner_url)
        for statement in (
            "DROP OWNED BY paysaga_runtime",
            "DROP ROLE paysaga_runtime",
            "GRANT CONNECT, TEMPORARY ON DATABASE paysaga TO PUBLIC",
            "GRANT USAGE ON SCHEMA public TO PUBLIC",
            "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO PUBLIC",
        ):
            await ask(stack, statement)
    (config.state_dir / "postgres" / "runtime-password").unlink()

    async with Stack(config) as stack:
        await stack.migrate()
        runtime = await asyncpg.connect(stack.database_url.replace("+asyncpg", ""))
        assert await runtime.fetchval("SELECT count(*) FROM payments") == 0
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await runtime.execute("DELETE FROM payments")
        await runtime.close()
        everyone = "SELECT has_function_privilege('public', 'forbid_removal()', 'EXECUTE')"
        assert await ask(stack, everyone) is False


async def test_a_lost_password_is_said_so(only: Callable[[Service], StackConfig]) -> None:
    config = only(Service.POSTGRES)
    async with Stack(config):
        pass
    (config.state_dir / "postgres" / "password").write_text("another")

    with pytest.raises(ProgramFailedError, match="isn't the password of the data beside it"):
        await Stack(config).__aenter__()
