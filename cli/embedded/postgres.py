"""A real PostgreSQL 18 from PyPI, run as our own child, as root too."""

import asyncio
import contextlib
import fcntl
import functools
import os
import secrets
import shutil
import signal
import time
from pathlib import Path

import asyncpg

from cli.embedded.errors import ProgramFailedError
from cli.embedded.ports import HOST
from cli.embedded.postgres_programs import COPY_FOLDERS, programs_for, unprivileged_user
from cli.embedded.program import Program, run

# A path to the folder that a process runs in, good even where its parents are closed to the process
# (proc(5)): root hands the folder over to the user who runs PostgreSQL, and it stays where it is.
WORKING_DIRECTORY = Path("/proc/self/cwd")
# Owns the tables and migrates them; the other is what API, workers and commands run as.
OWNER, RUNTIME = "paysaga", "paysaga_runtime"
DATABASE = "paysaga"
# Files of the folder.
OWNER_PASSWORD, RUNTIME_PASSWORD = "password", "runtime-password"
CONNECTIONS = 200
PROBE_TIMEOUT_SECONDS = 2.0
# An immediate shutdown kills its own backends after 5 seconds.
PREDECESSOR_SECONDS = 10.0
# Above the kernel's PID_MAX_LIMIT.
ABSENT_PID = 2**31 - 1


def kept_passwords(folder: Path) -> dict[str, str]:
    """The passwords of a database server's folder, by name; none where there is no such folder."""
    paths = (folder / name for name in (OWNER_PASSWORD, RUNTIME_PASSWORD))
    return {
        f"{path.name} of the embedded database": path.read_text() for path in paths if path.exists()
    }


class Postgres:
    """A database server on one folder.

    Args:
        folder: holds `data/` and the password.
        port: on 127.0.0.1.
        log: where its output goes.
    """

    def __init__(self, folder: Path, port: int, log: Path) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._port = port
        self._log = log
        self._user = unprivileged_user()
        self._has_runtime_role = False

    @functools.cached_property
    def password(self) -> str:
        """The owner's password, made at the first start."""
        return self._kept_password(OWNER_PASSWORD)

    @functools.cached_property
    def runtime_password(self) -> str:
        """The runtime role's password, made at the first start."""
        return self._kept_password(RUNTIME_PASSWORD)

    @property
    def url(self) -> str:
        """SQLAlchemy's URL of the database, for the runtime role."""
        return self._url(RUNTIME, self.runtime_password)

    @property
    def owner_url(self) -> str:
        """The same for the owner, who migrates."""
        return self._url(OWNER, self.password)

    def _kept_password(self, name: str) -> str:
        path = self._folder / name
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(24))
        return path.read_text()

    def _url(self, role: str, password: str) -> str:
        return f"postgresql+asyncpg://{role}:{password}@{HOST}:{self._port}/{DATABASE}"

    @functools.cached_property
    def _programs(self) -> Path:
        return programs_for(self._user, COPY_FOLDERS)

    async def create(self) -> None:
        """Create the data folder if there is none; killed half-way, the next call begins anew.

        Raises:
            PostgresUserError: we are root, and no other user can run the server.
            ProgramFailedError: another server runs on the folder and doesn't end.
        """
        if self._data.exists():
            await self._await_predecessor()
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        unfinished = self._folder / "initdb"
        shutil.rmtree(unfinished, ignore_errors=True)
        data, password_file = unfinished / "data", unfinished / "password"
        unfinished.mkdir(mode=0o700)
        data.mkdir(mode=0o700)
        password_file.touch(mode=0o600)
        password_file.write_text(self.password)
        self._hand_over(unfinished, data, password_file)
        await run(self._initdb(data))
        data.rename(self._data)
        shutil.rmtree(unfinished)

    def program(self) -> Program:
        """The server as a program; its data folder must exist."""
        options = {
            "listen_addresses": HOST,
            "port": str(self._port),
            "unix_socket_directories": "",
            "max_connections": str(CONNECTIONS),
        }
        settings = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        return Program(
            name="postgres",
            command=[
                str(self._programs / "postgres"),
                "-D",
                str(self._reachable(self._data)),
                *settings,
            ],
            ready=self._ready,
            log=self._log,
            environment={"LANG": "C.UTF-8", "TZ": "UTC"},
            directory=self._data,
            stop_signal=signal.SIGINT,  # "fast": doesn't wait for clients to leave
            death_signal=signal.SIGQUIT,  # "immediate": its backends end with it, then recovery
            user=self._user,
            lock=self._lock,
            prepare=self._disown_pid_file,
        )

    async def _await_predecessor(self) -> None:
        """Wait for a server whose supervisor was killed: it is on its way down."""
        give_up = time.monotonic() + PREDECESSOR_SECONDS
        while self._has_rival():
            if time.monotonic() > give_up:
                pid = self._pid_file.read_text().partition("\n")[0]
                raise ProgramFailedError(f"PostgreSQL {pid} still runs on {self._data}; end it")
            await asyncio.sleep(0.05)

    def _initdb(self, data: Path) -> Program:
        return Program(
            name="initdb",
            command=[
                str(self._programs / "initdb"),
                f"--pgdata={self._reachable(data)}",
                f"--username={OWNER}",
                "--pwfile=../password",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--no-instructions",
            ],
            ready=self._ready,
            log=self._log,
            environment={"LANG": "C.UTF-8", "TZ": "UTC"},
            directory=data,
            user=self._user,
        )

    def _reachable(self, directory: Path) -> Path:
        """The folder as a program that runs in it can name it."""
        return directory if self._user is None else WORKING_DIRECTORY

    def _hand_over(self, *paths: Path) -> None:
        if self._user is not None:
            for path in paths:
                os.chown(path, *self._user)

    def _disown_pid_file(self) -> None:
        """Put a number that no process has into a pid file whose own now belongs to a stranger.

        PostgreSQL sees through a dead pid by itself, but takes any living one, even a zombie,
        for a rival; after a crash in a container, where numbers are small, that is common. The
        file's other lines stay: by them it detects backends that still hold the shared memory.
        """
        with contextlib.suppress(FileNotFoundError):
            if not self._has_rival():
                _, _, rest = self._pid_file.read_text().partition("\n")
                self._pid_file.write_text(f"{ABSENT_PID}\n{rest}")

    def _has_rival(self) -> bool:
        """True if another server runs on our data, or a process that one started.

        They hold the lock. Whose a process id is cannot always be seen: root may not look into the
        processes of others where it lacks CAP_SYS_PTRACE, as in containers.
        """
        with self._lock.open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    @property
    def _lock(self) -> Path:
        return self._folder / "lock"

    @property
    def _pid_file(self) -> Path:
        return self._data / "postmaster.pid"

    async def _ready(self) -> bool:
        try:
            connection = await self._connect(DATABASE)
        except asyncpg.InvalidCatalogNameError:
            await self._create_database()
            return False
        except asyncpg.InvalidAuthorizationSpecificationError as error:
            raise ProgramFailedError(
                f"{self._folder / 'password'} isn't the password of the data beside it"
            ) from error
        except (OSError, TimeoutError, asyncpg.PostgresError):
            return False  # Starting, recovering, or every connection is taken.
        try:
            await self._ensure_runtime_role(connection)
        except asyncpg.PostgresError:
            return False
        finally:
            await connection.close(timeout=PROBE_TIMEOUT_SECONDS)
        return True

    async def _ensure_runtime_role(self, connection: asyncpg.Connection) -> None:
        """Create the role that earlier releases did not have; its password is the file's."""
        if self._has_runtime_role:
            return
        known = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", RUNTIME)
        verb = "ALTER" if known else "CREATE"
        # Of letters, digits, - and _ alone, so that it needs no escaping.
        await connection.execute(f"{verb} ROLE {RUNTIME} LOGIN PASSWORD '{self.runtime_password}'")
        self._has_runtime_role = True

    async def _create_database(self) -> None:
        connection = await self._connect("postgres")
        try:
            await connection.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            await connection.close(timeout=PROBE_TIMEOUT_SECONDS)

    async def _connect(self, database: str) -> asyncpg.Connection:
        return await asyncpg.connect(
            host=HOST,
            port=self._port,
            user=OWNER,
            password=self.password,
            database=database,
            ssl=False,
            timeout=PROBE_TIMEOUT_SECONDS,
        )
