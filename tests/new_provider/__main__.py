"""Write a new provider: `python -m tests.new_provider NAME` (`make new-provider NAME=...`).

The skeleton is a small protocol that works: JSON signed by HMAC, one channel, refunds. The
provider, its sandbox side and its tests are folders of their own, and one line of
`providers/registry.py` makes it live; nothing else is touched.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path
from string import Template

SKELETON = Path(__file__).parent / "skeleton"
REGISTRY = Path("providers/registry.py")
PLACES = {"provider": "providers", "sandbox": "sandbox", "tests": "tests/providers"}
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
# These folders of the same parents are no providers.
_TAKEN = frozenset({"kit", "base", "registry"})


def main() -> None:
    """Write into the project in the working directory; exits with what is wrong."""
    parser = argparse.ArgumentParser(prog="make new-provider", description=__doc__)
    parser.add_argument("name", help="lower-case letters, digits and underscores: paynow")
    name = parser.parse_args().name
    try:
        written = write_provider(Path.cwd(), name)
    except ValueError as error:
        raise SystemExit(str(error)) from error
    arrange(Path.cwd(), written)
    sys.stdout.write("".join(f"{path}\n" for path in written))


def write_provider(root: Path, name: str) -> list[Path]:
    """Write the provider's three folders and its line of the registry; return what was written.

    Paths are relative to `root`. Raises ValueError for a name that is none, or that is taken;
    nothing is written then.
    """
    if not _NAME.fullmatch(name) or name in _TAKEN:
        raise ValueError(f"{name!r} is no name for a provider: lower-case letters and digits")
    folders = [Path(parent) / name for parent in PLACES.values()]
    taken = [str(folder) for folder in folders if (root / folder).exists()]
    if taken:
        raise ValueError(f"{', '.join(taken)} exists already")
    registry = (root / REGISTRY).read_text()
    registered = re.sub(r"(_NAMES = \(\n(?:    \"\w+\",\n)+)", rf'\1    "{name}",\n', registry)
    if registered == registry:
        raise ValueError(f"{REGISTRY} has no list of names")
    written = []
    for part, folder in zip(PLACES, folders, strict=True):
        for source in sorted((SKELETON / part).glob("*.txt")):
            path = folder / source.stem
            _write(root / path, _filled(source.read_text(), name))
            written.append(path)
    _write(root / REGISTRY, registered)
    return [*written, REGISTRY]


def arrange(root: Path, written: list[Path]) -> None:
    """Sort the imports and format: their order depends on the name."""
    files = [str(path) for path in written]
    for command in (("check", "--fix", "--quiet", "--select", "I"), ("format", "--quiet")):
        subprocess.run([sys.executable, "-m", "ruff", *command, *files], cwd=root, check=True)  # noqa: S603 - our own files


def _filled(text: str, name: str) -> str:
    words = [word.capitalize() for word in name.split("_")]
    return Template(text).substitute(name=name, cls="".join(words), title=" ".join(words))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


if __name__ == "__main__":
    main()
