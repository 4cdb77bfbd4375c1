"""Install what uv.lock names into .venv, on a machine that has Python and nothing else.

Usage, as the Makefile has it: `python -E -m deploy.install`. It needs the standard library alone,
for it runs before anything is installed.

pip installs uv, and uv installs the rest: it reads the lock file and is fast. But pip is what
people and companies configure, so its settings of mirrors, proxies and certificates go on to uv.
Wherever a package comes from, its hash must be the one in uv.lock, and uv's own the one in
deploy/uv.txt. A call that failed or was killed is continued by the next: uv caches what it has
downloaded.
"""

import fcntl
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.pip_settings import PYPI, PipSettingsError, pip_settings, pip_variables, uv_variables

ROOT = Path(__file__).resolve().parents[1]
PINNED_UV = ROOT / "deploy" / "uv.txt"
# uv trusts the roots of Mozilla that it contains, or else the machine's own, among which may be a
# company's. There are machines for each that do not work with the other.
CERTIFICATES = {
    "uv's own certificates": {},
    "this machine's certificates": {"UV_SYSTEM_CERTS": "true"},
}
# Where distributions keep the machine's roots; pip does not know them in every version.
SYSTEM_ROOTS = (
    Path("/etc/ssl/certs/ca-certificates.crt"),
    Path("/etc/pki/tls/certs/ca-bundle.crt"),
    Path("/etc/ssl/ca-bundle.pem"),
)
# In an environment while packages are installed into it. One that was left there by a killed
# process or a full disk has packages that uv takes for whole.
UNFINISHED = "unfinished"
WAIT_SECONDS = 900.0
NETWORK_ADVICE = """\
- Is there a network? Behind a proxy, set HTTPS_PROXY=http://host:port.
- Do packages come through a mirror? Tell pip: pip config set global.index-url https://mirror/simple
- Is it a certificate of your company's? Tell pip: pip config set global.cert /path/to/its/roots.pem
Then run the same command again: it continues from here, what was downloaded is kept."""
HASH_ADVICE = """\
The index has another file than uv.lock names, which may be a forgery. Ask whoever runs the index,
or use another: pip config set global.index-url https://other/simple"""


class InstallError(Exception):
    """Something could not be installed; the message says what was tried and what to do."""


def main() -> None:
    """Install uv, create .venv and install what the lock file names."""
    try:
        _require_writable(ROOT)
        with alone(ROOT):
            uv = install_uv(ROOT / ".uv")
            create_environment(uv, ROOT / ".venv")
            requirements = locked_requirements(uv, ROOT)
            sys.stderr.write(f"Installing Python packages into {ROOT / '.venv'}\n")
            install(uv, ROOT / ".venv", requirements)
    except InstallError as error:
        sys.exit(f"\n{error}")
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. The same command continues from here.")


def install_uv(folder: Path) -> Path:
    """Return uv, which pip installs into an environment of its own.

    Raises:
        InstallError: Python has no venv module, or pip cannot get it.
    """
    python, uv, stamp = folder / "bin" / "python", folder / "bin" / "uv", folder / "installed"
    if (
        stamp.exists()
        and stamp.read_text() == PINNED_UV.read_text()
        and uv.exists()
        and _python_of(python) == _python_of(sys.executable)
    ):
        return uv
    _remove(folder)
    if _run([sys.executable, "-m", "venv", folder]).returncode != 0:
        # Debian's Python without its venv package leaves half an environment behind.
        _remove(folder)
        missing = importlib.util.find_spec("ensurepip") is None
        advice = " On Debian and Ubuntu: apt-get install python3-venv." if missing else ""
        raise InstallError(
            f"This Python cannot create a virtual environment here; the reason is above.{advice} "
            "Then run the same command again."
        )
    _pip_install_uv(python)
    stamp.write_text(PINNED_UV.read_text())
    return uv


def _pip_install_uv(python: Path) -> None:
    settings = _settings(python)
    variables = pip_variables(settings, os.environ)
    trusts = [variables]
    roots = next((path for path in SYSTEM_ROOTS if path.exists()), None)
    if roots is not None and "PIP_CERT" not in variables:
        trusts.append(variables | {"PIP_CERT": str(roots)})
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--no-user", "--quiet"]
    options = ["--require-hashes", "--only-binary=:all:", "--requirement", PINNED_UV]
    for trust in trusts:
        if _run([*pip, *options], env=trust).returncode == 0:
            return
    index = _without_password(settings["index_url"] or PYPI)
    raise InstallError(f"pip could not install uv from {index}: see above.\n{NETWORK_ADVICE}")


def create_environment(uv: Path, folder: Path, python: str = sys.executable) -> None:
    """Create a virtual environment, unless there is one that works, of the same Python.

    Raises:
        InstallError: uv cannot create it.
    """
    is_whole = not (folder / UNFINISHED).exists()
    if is_whole and _python_of(folder / "bin" / "python") == _python_of(python):
        return
    _remove(folder)
    command = [uv, "venv", "--quiet", "--no-config", "--python", python, folder]
    if _run(command, env=_without_uv_variables(uv)).returncode != 0:
        raise InstallError(f"No virtual environment could be created in {folder}.")


def locked_requirements(uv: Path, project: Path, options: Sequence[str] = ()) -> str:
    """Return what the project's lock file names, with hashes, as requirements.

    Args:
        uv: the program.
        project: the folder of pyproject.toml and uv.lock.
        options: which groups, as `uv export` takes them.

    Raises:
        InstallError: the lock file cannot be read, or is not that of this pyproject.toml.
    """
    export = ["export", "--locked", "--offline", "--no-config", "--quiet", "--no-emit-project"]
    done = _run(
        [uv, *export, "--python", sys.executable, *options],
        cwd=project,
        env=_without_uv_variables(uv),
        capture_output=True,
    )
    if done.returncode != 0:
        raise InstallError(
            f"{done.stderr}\n{project / 'uv.lock'} could not be read. If it or pyproject.toml was "
            f"changed without the other, `{uv} lock` brings them together."
        )
    return done.stdout


def install(
    uv: Path, environment: Path, requirements: str, options: Sequence[str] = ("--no-build",)
) -> None:
    """Make the environment hold just these requirements.

    Args:
        uv: the program, in the environment that `install_uv` made.
        environment: the virtual environment.
        requirements: all of them, pinned and with hashes.
        options: more for `uv pip sync`; by default nothing is built, for no compiler is needed.

    Raises:
        InstallError: with what was tried and what to do.
    """
    settings = _settings(uv.with_name("python"))
    variables = uv_variables(settings, os.environ)
    (environment / UNFINISHED).touch()
    sync = ["pip", "sync", "--quiet", "--require-hashes", "--compile-bytecode", *options]
    if settings["no_index"]:
        sync.append("--no-index")  # it has no variable
    failures: list[str] = []
    for certificates, trust in CERTIFICATES.items():
        done = _run(
            [uv, *sync, "--python", environment / "bin" / "python", "-"],
            env=os.environ | _cache(uv) | variables | trust,
            input=requirements,
            capture_output=True,
        )
        if done.returncode == 0:
            (environment / UNFINISHED).unlink()
            return
        failures.append(f"With {certificates}:\n{done.stderr}")
        if "certificate" not in done.stderr:
            break
    index = os.environ.get("UV_INDEX_URL") or (os.environ | variables).get("UV_DEFAULT_INDEX", PYPI)
    tried, is_forged = "\n".join(failures), "hash mismatch" in failures[-1].lower()
    raise InstallError(
        f"{tried}\nThe packages could not be installed from {_without_password(index)}.\n"
        f"{HASH_ADVICE if is_forged else NETWORK_ADVICE}"
    )


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let one process at a time install there: `make` may run twice at once."""
    give_up = time.monotonic() + WAIT_SECONDS
    with (folder / "pyproject.toml").open("a") as held:  # NFS locks only what can be written
        while True:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > give_up:
                    raise InstallError(f"Another process still installs in {folder}.") from None
                time.sleep(0.2)
        yield


def _cache(uv: Path) -> dict[str, str]:
    """Return uv's variable for its cache where the user cannot write to the one at home."""
    if "UV_CACHE_DIR" in os.environ:
        return {"UV_CACHE_DIR": os.environ["UV_CACHE_DIR"]}
    try:
        home = Path.home()
    except RuntimeError:  # neither HOME nor an entry of the user in /etc/passwd
        home = Path("/")
    existing = next(
        (path for path in (home / ".cache/uv", home / ".cache", home) if path.exists()), home
    )
    return {} if os.access(existing, os.W_OK) else {"UV_CACHE_DIR": str(uv.parents[1] / "cache")}


def _settings(python: Path) -> dict[str, Any]:
    try:
        return pip_settings(python)
    except PipSettingsError as error:
        raise InstallError(
            f"{error}\npip's settings could not be read; `pip config debug` lists their files."
        ) from error


def _require_writable(folder: Path) -> None:
    places = [path for path in (folder, folder / ".uv", folder / ".venv") if path.exists()]
    if closed := [str(path) for path in places if not os.access(path, os.W_OK)]:
        raise InstallError(
            f"This user cannot write to {' and '.join(closed)}. Run as the user who can, or clone "
            "into a folder of your own."
        )


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise InstallError(f"{folder} could not be removed: {error}. Remove it by hand.") from error


def _without_uv_variables(uv: Path) -> dict[str, str]:
    """Return our environment without the user's variables for uv, which change a lock's meaning."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("UV_")}
    return kept | _cache(uv)


def _python_of(executable: Path | str) -> str | None:
    """Return an interpreter's version and place; None where there is none that works."""
    question = "import sys; print(sys.version, sys.base_prefix)"
    try:
        done = _run([executable, "-I", "-c", question], capture_output=True)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


def _run(command: Sequence[object], **options: Any) -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in command]
    return subprocess.run(words, text=True, check=False, **options)  # noqa: S603 - our own


def _without_password(url: str) -> str:
    return re.sub(r"//[^/]*@", "//", url)


if __name__ == "__main__":
    main()
