"""`doctor`: is everything here that a stack needs, and does a running one answer?"""

import asyncio
import fcntl
import json
import os
import platform
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import typer
from pydantic import ValidationError
from rich.markup import escape
from rich.table import Table

from cli.certificates import certificates
from cli.console import STATE_DIR, StateDir, console
from cli.embedded import temporal
from cli.embedded.config import UI_PORT, Service
from cli.embedded.errors import PostgresUserError, StackFolderError
from cli.embedded.ports import HOST, taken
from cli.embedded.postgres_programs import (
    BINARIES,
    COPY_FOLDERS,
    OTHER_USER,
    PACKAGE,
    unprivileged_user,
    why_not,
)
from cli.embedded.stack import ENV_FILE
from cli.embedded.state_folder import LOCK, require_own
from cli.finding import Finding
from engine.production import exposed_files, production_problems
from settings import Mode, Settings

OLDEST_PYTHON = (3, 11)
DISK_NEEDED_GB = 1.0
PROBE_SECONDS = 3.0


def doctor(state_dir: StateDir = STATE_DIR) -> None:
    """Check the machine and, where one runs, the stack; exit 1 where something is wrong."""
    findings = asyncio.run(examine(state_dir))
    table = Table("", "What", "Found", "What to do")
    for finding in findings:
        advice = finding.advice if finding.is_warning or not finding.good else ""
        table.add_row(finding.mark, *map(escape, (finding.what, finding.detail, advice)))
    console.print(table)
    if not all(finding.good for finding in findings):
        raise typer.Exit(1)


async def examine(state_dir: Path) -> list[Finding]:
    """Look at everything once; in mode production at the settings, in place of a stack's needs."""
    settings, wrong = _settings(state_dir)
    if settings is not None and settings.mode is Mode.PRODUCTION:
        return [_python(), _platform(), *_production(settings)]
    versions = await asyncio.gather(
        _program("Temporal server", temporal.BINARY, "--version"),
        _program("PostgreSQL", BINARIES / "postgres", "--version"),
    )
    machine = [
        _python(),
        *versions,
        _platform(),
        _user(),
        _disk(state_dir),
        *wrong,
        *certificates(),
    ]
    try:
        require_own(state_dir)
    except StackFolderError as error:
        foreign = Finding("Folder", good=False, detail=error.reason, advice=error.advice)
        return [*machine, foreign]
    return [
        *machine,
        _temporal_file(state_dir),
        *[finding async for finding in _running(state_dir)],
    ]


def _settings(state_dir: Path) -> tuple[Settings | None, list[Finding]]:
    """The settings, where this machine has them all, and those whose value is wrong."""
    try:
        return Settings(_env_file=state_dir / ENV_FILE), []
    except ValidationError as error:
        # A newcomer's machine has none of them, and one with its own database a few.
        wrong = [each for each in error.errors() if each["type"] != "missing"]
        return None, [
            Finding(
                f"PAYSAGA_{str(each['loc'][0]).upper()}",
                good=False,
                detail=each["msg"],
                advice="docs/operations.md says what it may be.",
            )
            for each in wrong
        ]


def _production(settings: Settings) -> list[Finding]:
    try:
        problems = production_problems(settings, settings.read_accounts())
        problems += exposed_files(settings.secret_files())
    except (OSError, ValueError) as error:
        advice = "See deploy/accounts.example.toml; files are named relative to it."
        return [Finding("PAYSAGA_ACCOUNTS_FILE", good=False, detail=str(error), advice=advice)]
    found = [
        Finding(
            problem.setting,
            good=problem.is_warning,
            detail=problem.found,
            advice=problem.advice,
            is_warning=problem.is_warning,
        )
        for problem in problems
    ]
    fit = all(finding.good for finding in found)
    return [*found, Finding("Mode", good=fit, detail="production")]


def _python() -> Finding:
    return Finding(
        "Python",
        sys.version_info >= OLDEST_PYTHON,
        platform.python_version(),
        "Run make with PYTHON=/path/to/python3.11 or newer.",
    )


def _platform() -> Finding:
    return Finding(
        "Platform",
        sys.platform == "linux",
        f"{platform.system()} {platform.machine()}",
        "Works, but kill -9 of ./paysaga may leave its servers running.",
    )


def _user() -> Finding:
    try:
        user = unprivileged_user()
        if user is None:
            return Finding("User", good=True, detail="an ordinary one")
        refusal = why_not(PACKAGE.parent, user)
    except PostgresUserError as error:
        return Finding("User", good=False, detail=error.reason, advice=error.advice)
    place = "" if refusal is None else f", from a copy in {COPY_FOLDERS[0]}"
    return Finding("User", good=True, detail=f"root; PostgreSQL runs as {OTHER_USER}{place}")


async def _program(what: str, path: Path, argument: str) -> Finding:
    advice = "Run make .venv/locked again; the embedded group installs it."
    if shutil.which(path) is None:
        return Finding(what, good=False, detail=f"no {path}", advice=advice)
    process = await asyncio.create_subprocess_exec(
        str(path), argument, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return Finding(what, process.returncode == 0, output.decode().strip(), advice)


def _disk(state_dir: Path) -> Finding:
    there = next(
        path for path in (state_dir.resolve(), *state_dir.resolve().parents) if path.exists()
    )
    free = shutil.disk_usage(there).free / 1e9
    writable = os.access(there, os.W_OK)
    detail = f"{free:.1f} GB free at {there}" if writable else f"{there} isn't writable"
    advice = f"Choose another --state-dir, or free {DISK_NEEDED_GB:.0f} GB."
    return Finding("Disk", writable and free > DISK_NEEDED_GB, detail, advice)


def _temporal_file(state_dir: Path) -> Finding:
    stamp, ours = state_dir / "temporal" / "version", temporal.installed_version()
    found = stamp.read_text().strip() if stamp.exists() else None
    return Finding(
        "Temporal file",
        found in (None, ours),
        "none yet" if found is None else f"written by {found}, installed is {ours}",
        "Start with ./paysaga up --set-temporal-aside once open payments have ended.",
    )


def _remembered_ports(state_dir: Path) -> Finding:
    lost = ", ".join(f"{name} {port}" for name, port in taken(state_dir / "ports.json").items())
    return Finding(
        "Ports",
        not lost,
        f"in use by other programs: {lost}" if lost else "those of the last start are free",
        "End those programs to keep the links, or start: free ports are chosen.",
    )


async def _running(state_dir: Path) -> AsyncIterator[Finding]:
    if not _is_held(state_dir / LOCK):
        yield Finding("Stack", good=True, detail=f"none runs in {state_dir}")
        yield _remembered_ports(state_dir)
        return
    ports = json.loads((state_dir / "ports.json").read_text())
    paths = {
        Service.API: (ports[Service.API], "/readyz"),
        Service.SANDBOX: (ports[Service.SANDBOX], "/healthz"),
        "Temporal UI": (ports[UI_PORT], "/"),
    }
    async with httpx.AsyncClient(trust_env=False, timeout=PROBE_SECONDS) as http:
        for name, (port, path) in paths.items():
            yield await _answer(http, str(name), f"http://{HOST}:{port}{path}", state_dir)


async def _answer(http: httpx.AsyncClient, name: str, url: str, state_dir: Path) -> Finding:
    advice = f"Look into {state_dir / 'logs'}."
    try:
        response = await http.get(url)
    except httpx.TransportError as error:
        return Finding(name, good=False, detail=f"{url}: {type(error).__name__}", advice=advice)
    good = response.status_code == httpx.codes.OK
    return Finding(name, good, f"{url} answers {response.status_code}", advice)


def _is_held(lock: Path) -> bool:
    if not lock.exists():
        return False
    with lock.open() as holder:
        try:
            fcntl.flock(holder, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
