"""A backup that is taken while payments go on, and a second server on its copy."""

import asyncio
import shutil
import signal
import tarfile
from pathlib import Path

import asyncpg

from cli.embedded.ports import HOST, assign_ports
from cli.embedded.postgres_programs import BINARIES
from verification.rehearsal.compose import ROOT
from verification.rehearsal.process import Service, other_user, quietly, run
from verification.rehearsal.shape import Shape

_PENDING = "SELECT replace(id::text, '-', '') FROM payments WHERE status = 'pending'"
# Temporal's states of an execution that is not closed.
_ENDED = "SELECT replace(id::text, '-', '') FROM payments WHERE status <> 'pending'"
_OPEN = (
    "SELECT substr(workflow_id, 9) FROM current_executions"
    " WHERE workflow_id LIKE 'payment-%' AND state < 3"
)
# So many may have been started, and not have written their row yet, in the moment of the backup.
_JUST_BEGUN = 3


async def backup_and_restore(shape: Shape) -> list[str]:
    """Take a backup by deploy/backup.sh's command and start a server on it; what is wrong with it.

    Both databases must be of one moment: every pending payment has its open workflow, and no open
    workflow lacks its payment's row.
    """
    archive = shape.folder / "backup.tar.gz"
    # Into a file, past this process's memory.
    words = ["/bin/sh", "-c", f'{_command()} > "$BACKUP"']
    await run(words, shape.superuser | {"BACKUP": str(archive)}, ROOT)
    data = shape.folder / "restored"
    await asyncio.to_thread(_unpack, archive, data)
    port = assign_ports(["restored"], {}, shape.folder / "restored.json")["restored"]
    server = _server(shape, data, port)
    await server.start()
    try:
        return await _compared(shape, port)
    finally:
        await server.stop()


def _command() -> str:
    """What backup.sh runs inside the container."""
    text = (ROOT / "deploy/backup.sh").read_text().replace("\\\n", " ")
    _, _, command = text.partition("exec docker compose exec -T postgres")
    return command.strip()


def _unpack(archive: Path, data: Path) -> None:
    data.mkdir(mode=0o700)
    with tarfile.open(archive) as opened:
        opened.extractall(data, filter="data")
    user = other_user()
    if user is not None:
        for path in (data, *data.rglob("*")):
            shutil.chown(path, user)


def _server(shape: Shape, data: Path, port: int) -> Service:
    place = ("-c", f"listen_addresses={HOST}", "-c", f"port={port}")
    probe = [str(BINARIES / "pg_isready"), "-q", "-h", HOST, "-p", str(port), "-U", "postgres"]

    async def ready() -> bool:
        return await quietly(probe, shape.superuser) == 0

    program = str(shape.servers.postgres / "postgres")
    return Service(
        "restored",
        [program, "-D", str(data), *place, "-c", "unix_socket_directories="],
        shape.superuser,
        folder=data,
        log=shape.folder / "logs" / "restored.log",
        ready=ready,
        stop_seconds=60.0,
        stop_signal=signal.SIGINT,
        user=other_user(),
    )


async def _compared(shape: Shape, port: int) -> list[str]:
    pending = await _column(shape, port, "paysaga", _PENDING)
    open_ = await _column(shape, port, "temporal", _OPEN)
    broken = []
    if lost := pending - open_:
        broken.append(f"restored: {len(lost)} pending payments without an open workflow")
    # Its row is written by the workflow's first step.
    if len(begun := open_ - pending - await _ended(shape, port)) > _JUST_BEGUN:
        broken.append(f"restored: {len(begun)} open workflows without a payment")
    return broken


async def _ended(shape: Shape, port: int) -> set[str]:
    """Payments that have ended; their workflows run on until the merchant knows."""
    return await _column(shape, port, "paysaga", _ENDED)


async def _column(shape: Shape, port: int, database: str, query: str) -> set[str]:
    password = shape.superuser["PGPASSWORD"]
    connection = await asyncpg.connect(
        host=HOST, port=port, user="postgres", password=password, database=database
    )
    try:
        return {row[0] for row in await connection.fetch(query)}
    finally:
        await connection.close()
