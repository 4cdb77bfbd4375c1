"""The SDKs that are not written in Python: their locked packages, and how each is run.

A toolchain that this machine does not have is no failure: `AbsentToolchainError` says which.
"""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from verification.conformance.environments import FOLDER, ROOT

NODE_NAMES = ("alipay_sdk_node", "app_store_server_library_node")
JAVA_NAMES = (
    "wechatpay_java",
    "alipay_sdk_java",
    "alipay_sdk_java_v3",
    "app_store_server_library_java",
    "pay_java_union",
)
# What alipay-sdk asks for.
OLDEST_NODE = 18
# What our own checks are written in.
OLDEST_JDK = 17
INSTALL_SECONDS = 600
SYSTEM_ROOTS = Path("/etc/ssl/certs/ca-certificates.crt")
COPY_DEPENDENCIES = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
# By npm and by Maven, of a package that is not the locked one.
CHECKSUM_FAILED = ("EINTEGRITY", "Checksum validation failed")
HARNESS = ROOT / "verification" / "conformance" / "harness"


class AbsentToolchainError(Exception):
    """A program is missing; the message names it."""


class PackagesError(Exception):
    """The packages are not the locked ones, or do not compile."""


def command(name: str) -> list[str]:
    """Install the SDK where its lock has changed, and return how its script is run.

    Raises AbsentToolchainError and PackagesError.
    """
    return _node(name) if name in NODE_NAMES else _java(name)


def _node(name: str) -> list[str]:
    _require("node", "npm")
    version = _output(["node", "--version"]).strip()
    _require_version("Node", version, OLDEST_NODE)
    source, folder = ROOT / "verification" / "conformance" / name, FOLDER / name
    locks = [source / "package.json", source / "package-lock.json"]
    if _is_stale(folder, locks, version):
        for lock in locks:
            shutil.copy(lock, folder)
        # npm compares every package with the hash in the lock, and runs no script of any.
        install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        _fetch([*install, "--prefix", str(folder)])
        _stamp(folder, locks, version)
    for script in (HARNESS / "oracle.mjs", source / "check.mjs"):
        shutil.copy(script, folder)
    return ["node", str(folder / "check.mjs")]


def _java(name: str) -> list[str]:
    _require("java", "javac", "mvn")
    version = _output(["javac", "-version"]).strip()
    _require_version("A JDK of", version, OLDEST_JDK)
    source, folder = ROOT / "verification" / "conformance" / name, FOLDER / name
    sources = sorted([*HARNESS.glob("*.java"), *source.glob("*.java")])
    locks = [source / "pom.xml", source / "jars.txt", *sources]
    jars = folder / "jars"
    if _is_stale(folder, locks, version):
        # -C: a package whose checksum does not fit is refused.
        maven = ["mvn", "--batch-mode", "--quiet", "-C", "-f", str(source / "pom.xml")]
        options = [f"-DoutputDirectory={jars}", "-DincludeScope=runtime"]
        _fetch([*maven, COPY_DEPENDENCIES, *options])
        check_jars(jars, (source / "jars.txt").read_text())
        compiler = ["javac", "-encoding", "UTF-8", "-nowarn", "-cp", f"{jars}/*"]
        _run([*compiler, "-d", str(folder / "classes"), *map(str, sources)])
        _stamp(folder, locks, version)
    path = f"{folder / 'classes'}{os.pathsep}{jars}/*"
    return ["java", "-Dfile.encoding=UTF-8", "-cp", path, "Check"]


def check_jars(folder: Path, locked: str) -> None:
    """Raise PackagesError unless the folder holds exactly the files of `sha256sum`'s list."""
    wanted = {name: digest for digest, name in map(str.split, locked.splitlines())}
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.jar")
    }
    if differing := sorted({name for name, _ in wanted.items() ^ found.items()}):
        raise PackagesError(f"not the locked packages: {', '.join(differing)}")


def _require(*programs: str) -> None:
    if missing := [program for program in programs if shutil.which(program) is None]:
        raise AbsentToolchainError(f"{' and '.join(missing)} not on this machine")


def _require_version(what: str, text: str, oldest: int) -> None:
    found = re.search(r"[0-9]+", text)
    if found is None or int(found[0]) < oldest:
        raise AbsentToolchainError(f"{what} {oldest} or newer not on this machine, only {text}")


def _is_stale(folder: Path, locks: Iterable[Path], version: str) -> bool:
    stamp = folder / "made-from"
    if stamp.exists() and stamp.read_text() == _fingerprint(locks, version):
        return False
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return True


def _stamp(folder: Path, locks: Iterable[Path], version: str) -> None:
    (folder / "made-from").write_text(_fingerprint(locks, version))


def _fingerprint(locks: Iterable[Path], version: str) -> str:
    contents = b"".join(lock.read_bytes() for lock in locks)
    return hashlib.sha256(contents + version.encode()).hexdigest()


def _output(arguments: list[str]) -> str:
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - our own arguments
    return done.stdout or done.stderr


def _fetch(arguments: list[str]) -> None:
    """Run what downloads packages; AbsentToolchainError where that does not work from here.

    Raises PackagesError for packages that came and are not the locked ones.
    """
    try:
        _run(arguments)
    except PackagesError as error:
        if any(reason in str(error) for reason in CHECKSUM_FAILED):
            raise
        last = str(error).strip().splitlines()[-1]
        raise AbsentToolchainError(f"its packages could not be fetched: {last}") from error


def _run(arguments: list[str]) -> None:
    # Node does not look into the machine's own certificates, where a company's root is.
    roots = {} if not SYSTEM_ROOTS.exists() else {"NODE_EXTRA_CA_CERTS": str(SYSTEM_ROOTS)}
    done = subprocess.run(  # noqa: S603 - our own arguments
        arguments,
        capture_output=True,
        text=True,
        check=False,
        timeout=INSTALL_SECONDS,
        env=roots | os.environ,
    )
    if done.returncode != 0:
        raise PackagesError(f"{arguments[0]}: {(done.stderr or done.stdout)[-2000:]}")
