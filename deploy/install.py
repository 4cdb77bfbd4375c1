"""Install what uv.lock names into .venv, on a machine that has Python and nothing else.

Usage, as the Makefile has it: `python -I deploy/install.py`. It needs the standard library alone,
for it runs before anything is installed.

pip installs uv, and uv installs the rest: it reads the lock file and is fast. But pip is what
people and companies configure, so its settings of mirrors, proxies and certificates go on to uv.
Wherever a package comes from, its hash must be the one in uv.lock, and uv's own the one in
deploy/uv.txt. A call that failed or was killed is continued by the next: uv caches what it has
downloaded.
"""

import fcntl
import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PINNED_UV = ROOT / "deploy" / "uv.txt"
PYPI = "https://pypi.org/simple"
# pip merges its files and variables by rules of its own, which `pip config list` does not apply
# from version 26 on, so pip's parser is asked. The names are those of its options.
PIP_SETTINGS = """
import json
from pip._internal.commands import create_command
options, _ = create_command("install").parse_args([])
names = "index_url extra_index_urls no_index find_links trusted_hosts"
names += " timeout cert client_cert proxy"
print(json.dumps({name: getattr(options, name) for name in names.split()}))
"""
# What would have pip install uv elsewhere than into the environment that is made for it.
PIP_ELSEWHERE = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_PYTHON", "PIP_DRY_RUN")
PROXIES = ("ALL_PROXY", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")
# uv trusts the roots of Mozilla that it contains, or else the machine's own, among which may be a
# company's. There are machines for each that do not work with the other.
CERTIFICATES = {
    "uv's own certificates": {},
    "this machine's certificates": {"UV_SYSTEM_CERTS": "true"},
}
WAIT_SECONDS = 900.0
NETWORK_ADVICE = """\
- Is there a network? Behind a proxy, set HTTPS_PROXY=http://host:port.
- Do packages come through a mirror? Tell pip: pip config set global.index-url https://mirror/simple
- Is it a certificate of your company's? Set SSL_CERT_FILE=/path/to/its/roots.pem.
Then run the same command again: it continues from here, what was downloaded is kept."""
HASH_ADVICE = """\
The index has another file than uv.lock names, which may be a forgery. Ask whoever runs the index,
or use another: pip config set global.index-url https://other/simple"""


class InstallError(Exception):
    """Something could not be installed; the message says what was tried and what to do."""


def main() -> None:
    """Install uv, create .venv and install what the lock file names."""
    try:
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
    # Debian's Python without its venv package leaves half an environment behind.
    shutil.rmtree(folder, ignore_errors=True)
    if _run([sys.executable, "-m", "venv", folder]).returncode != 0:
        shutil.rmtree(folder, ignore_errors=True)
        raise InstallError(
            "This Python cannot create a virtual environment; the reason is above. On Debian and "
            "Ubuntu: apt-get install python3-venv. Then run the same command again."
        )
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--no-user", "--quiet"]
    options = ["--require-hashes", "--only-binary=:all:", "--requirement", PINNED_UV]
    environment = {name: value for name, value in os.environ.items() if name not in PIP_ELSEWHERE}
    if _run([*pip, *options], env=environment).returncode != 0 or not uv.exists():
        raise InstallError(f"pip could not install uv; the reason is above.\n{NETWORK_ADVICE}")
    stamp.write_text(PINNED_UV.read_text())
    return uv


def create_environment(uv: Path, folder: Path, python: str = sys.executable) -> None:
    """Create a virtual environment, unless there is one that works, of the same Python.

    Raises:
        InstallError: uv cannot create it.
    """
    if _python_of(folder / "bin" / "python") == _python_of(python):
        return
    shutil.rmtree(folder, ignore_errors=True)
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
    settings = pip_settings(uv.with_name("python"))
    variables = uv_variables(settings, os.environ)
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


def pip_settings(python: Path) -> dict[str, Any]:
    """Return pip's settings for `pip install`, by the names of its options.

    Raises:
        InstallError: pip cannot read them.
    """
    done = _run([python, "-I", "-c", PIP_SETTINGS], capture_output=True)
    if done.returncode != 0:
        raise InstallError(
            f"{done.stderr}\npip's settings could not be read; see `pip config debug`."
        )
    settings: dict[str, Any] = json.loads(done.stdout)
    return settings


def uv_variables(pip: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """Return pip's settings as uv's variables, without those that the user has set for uv."""
    certificates = pip["cert"] or environ.get("REQUESTS_CA_BUNDLE") or environ.get("CURL_CA_BUNDLE")
    found = {
        "UV_DEFAULT_INDEX": "" if (pip["index_url"] or PYPI) == PYPI else pip["index_url"],
        "UV_INDEX": " ".join(pip["extra_index_urls"]),
        "UV_FIND_LINKS": ",".join(link for link in map(_link, pip["find_links"]) if link),
        "UV_INSECURE_HOST": " ".join(pip["trusted_hosts"]),
        # Never less than uv waits by itself: pip's default is 15.
        "UV_HTTP_TIMEOUT": str(max(30, math.ceil(pip["timeout"]))),
        "SSL_CERT_FILE": certificates or "",
        "SSL_CLIENT_CERT": pip["client_cert"] or "",
    }
    if found["UV_INDEX"]:
        # As pip does: take it from any index. The hash decides which file it must be.
        found["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    other_names = {
        "UV_DEFAULT_INDEX": "UV_INDEX_URL",
        "UV_INDEX": "UV_EXTRA_INDEX_URL",
        "UV_HTTP_TIMEOUT": "UV_REQUEST_TIMEOUT",
    }
    variables = {
        name: value
        for name, value in found.items()
        if value and not environ.get(name) and not environ.get(other_names.get(name, ""))
    }
    # pip's own proxy comes before the environment's.
    return variables | (dict.fromkeys(PROXIES, pip["proxy"]) if pip["proxy"] else {})


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let one process at a time install there: `make` may run twice at once."""
    give_up = time.monotonic() + WAIT_SECONDS
    with (folder / "pyproject.toml").open() as held:
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
    """Return uv's variable for its cache where the user has no home to keep it in."""
    if "UV_CACHE_DIR" in os.environ:
        return {"UV_CACHE_DIR": os.environ["UV_CACHE_DIR"]}
    try:
        home = Path.home()
    except RuntimeError:  # neither HOME nor an entry of the user in /etc/passwd
        home = Path("/")
    return {} if os.access(home, os.W_OK) else {"UV_CACHE_DIR": str(uv.parents[1] / "cache")}


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


def _link(link: str) -> str | None:
    """Return a place of files as uv takes it; None where it is missing, which pip passes over."""
    if "://" in link and not link.startswith("file://"):
        return link
    folder = Path(link.removeprefix("file://")).expanduser()
    return str(folder) if folder.exists() else None


def _without_password(url: str) -> str:
    return re.sub(r"//[^/]*@", "//", url)


if __name__ == "__main__":
    main()
