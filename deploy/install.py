"""Install what uv.lock names into .venv, on a machine that has Python and nothing else.

Usage, as the Makefile has it: `python -I deploy/install.py`. It needs the standard library alone,
for it runs before anything is installed.

pip installs uv, and uv installs the rest: it reads the lock file and is fast. But pip is what
people and companies configure, so its settings of mirrors, proxies and certificates go on to uv.
Wherever a package comes from, its hash must be the one in uv.lock, and uv's own the one in
deploy/uv.txt. A call that failed or was killed is continued by the next: uv caches what it has
downloaded.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PINNED_UV = ROOT / "deploy" / "uv.txt"
# By pip's name of the setting (pip's user guide, "Configuration"; uv's reference, "Environment
# variables"). A list's items are separated by white space in pip's settings.
UV_VARIABLES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "timeout": "UV_HTTP_TIMEOUT",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
}
# Other names of the same variable. Where the user has set one, pip's setting is not passed on.
ALIASES = {
    "UV_DEFAULT_INDEX": ("UV_INDEX_URL",),
    "UV_INDEX": ("UV_EXTRA_INDEX_URL",),
    "ALL_PROXY": ("all_proxy", "HTTPS_PROXY", "https_proxy"),
}
PYPI = "https://pypi.org/simple"
# uv trusts the roots of Mozilla that it contains, or else the machine's own, among which may be a
# company's. There are machines for each that do not work with the other.
CERTIFICATES = {
    "uv's own certificates": {},
    "this machine's certificates": {"UV_SYSTEM_CERTS": "true"},
}
ADVICE = """\
- Is there a network? Behind a proxy, set HTTPS_PROXY=http://host:port.
- Do packages come through a mirror? Tell pip: pip config set global.index-url https://mirror/simple
- Does a company's certificate stand in between? Set SSL_CERT_FILE=/path/to/its/roots.pem.
Then run the same command again: it continues from here, what was downloaded is kept."""


class InstallError(Exception):
    """Something could not be installed; the message says what was tried and what to do."""


def main() -> None:
    """Install uv, create .venv and install what the lock file names."""
    try:
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
    uv, stamp = folder / "bin" / "uv", folder / "installed"
    if stamp.exists() and stamp.read_text() == PINNED_UV.read_text() and uv.exists():
        return uv
    # Debian's Python without its venv package leaves half an environment behind.
    shutil.rmtree(folder, ignore_errors=True)
    if _run([sys.executable, "-m", "venv", folder]).returncode != 0:
        shutil.rmtree(folder, ignore_errors=True)
        raise InstallError(
            "This Python cannot create a virtual environment; the reason is above. On Debian and "
            "Ubuntu: apt-get install python3-venv. Then run the same command again."
        )
    pip = [folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]
    options = ["--quiet", "--require-hashes", "--only-binary=:all:", "--requirement", PINNED_UV]
    if _run([*pip, "install", *options]).returncode != 0:
        raise InstallError(f"pip could not install uv; the reason is above.\n{ADVICE}")
    stamp.write_text(PINNED_UV.read_text())
    return uv


def create_environment(uv: Path, folder: Path, python: str = sys.executable) -> None:
    """Create a virtual environment, unless there is a good one of the same Python."""
    if _python_of(folder / "bin" / "python") == _python_of(Path(python)):
        return
    shutil.rmtree(folder, ignore_errors=True)
    command = [uv, "venv", "--quiet", "--no-config", "--python", python, folder]
    if _run(command).returncode != 0:
        raise InstallError(f"No virtual environment could be created in {folder}.")


def locked_requirements(uv: Path, project: Path, options: Sequence[str] = ()) -> str:
    """Return what the project's lock file names, with hashes, as requirements.

    Args:
        uv: the program.
        project: the folder of pyproject.toml and uv.lock.
        options: which groups, as `uv export` takes them.

    Raises:
        InstallError: the lock file is not that of this pyproject.toml.
    """
    export = ["export", "--locked", "--offline", "--no-config", "--quiet", "--no-emit-project"]
    # Another index than the lock file's own would make uv call the lock file stale.
    environment = {name: value for name, value in os.environ.items() if not _says_where(name)}
    done = _run([uv, *export, *options], cwd=project, env=environment, capture_output=True)
    if done.returncode != 0:
        raise InstallError(
            f"{done.stderr}\n{project / 'uv.lock'} does not fit pyproject.toml. Was one of them "
            f"changed without the other? `{uv} lock` brings them together."
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
    variables = uv_variables(pip_settings(uv.with_name("python")), os.environ)
    sync = ["pip", "sync", "--quiet", "--require-hashes", "--compile-bytecode", *options]
    failures: list[str] = []
    for certificates, trust in CERTIFICATES.items():
        done = _run(
            [uv, *sync, "--python", environment / "bin" / "python", "-"],
            env=os.environ | variables | trust,
            input=requirements,
            capture_output=True,
        )
        if done.returncode == 0:
            return
        failures.append(f"With {certificates}:\n{done.stderr}")
    index = os.environ.get("UV_INDEX_URL") or (os.environ | variables).get("UV_DEFAULT_INDEX", PYPI)
    tried = "\n".join(failures)
    raise InstallError(
        f"{tried}\nThe packages could not be installed from {_without_password(index)}.\n{ADVICE}"
    )


def pip_settings(python: Path) -> dict[str, str]:
    """Return pip's settings for `pip install`, from its files and variables."""
    done = _run([python, "-m", "pip", "config", "list"], capture_output=True)
    found = re.findall(r"^(global|install|:env:)\.([\w-]+)=(.*)$", done.stdout, re.MULTILINE)
    return {
        name: str(ast.literal_eval(value))
        for weight in ("global", "install", ":env:")  # pip's own order: the last one wins
        for section, name, value in found
        if section == weight
    }


def uv_variables(pip: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """Return pip's settings as uv's variables, without those that the user has set for uv."""
    variables = {
        variable: " ".join(pip[setting].split())
        for setting, variable in UV_VARIABLES.items()
        if pip.get(setting)
        and not any(n in environ for n in (variable, *ALIASES.get(variable, ())))
    }
    links = [link for link in variables.pop("UV_FIND_LINKS", "").split() if _exists(link)]
    if links:
        variables["UV_FIND_LINKS"] = ",".join(links)
    if pip.get("no-index", "").lower() in {"1", "true", "yes", "on"}:
        variables["UV_NO_INDEX"] = "true"
    if "UV_INDEX" in variables and "UV_INDEX_STRATEGY" not in environ:
        # As pip does: take it from any index. The hash decides which file it must be.
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return variables


def _python_of(executable: Path) -> str | None:
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


def _says_where(variable: str) -> bool:
    return variable.startswith("UV_") and ("INDEX" in variable or "FIND_LINKS" in variable)


def _exists(link: str) -> bool:
    """True unless it is a folder that is not there, which pip passes over and uv does not."""
    return "://" in link or Path(link).exists()


def _without_password(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//", url)


if __name__ == "__main__":
    main()
