"""The images of the Dockerfile as folders: what each of its stages copies, by the ignore file."""

import fnmatch
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FROM = re.compile(r"^FROM (?P<base>\S+) AS (?P<name>\w+)$")
_COPY = re.compile(r"^COPY (?!--from)(?P<sources>.+) (?P<target>\S+)$")


@dataclass
class Stage:
    """One stage: what it starts from, and its own lines."""

    base: str
    lines: list[str] = field(default_factory=list)

    @property
    def copies(self) -> list[tuple[str, str]]:
        """(source, target) of everything that it copies from the build's context."""
        found = filter(None, map(_COPY.match, self.lines))
        return [(source, copy["target"]) for copy in found for source in copy["sources"].split()]


def stages() -> dict[str, Stage]:
    """The Dockerfile's stages by name, in its order."""
    found: dict[str, Stage] = {}
    for line in (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines():
        if begun := _FROM.match(line):
            stage = found[begun["name"]] = Stage(begun["base"])
        elif found:
            stage.lines.append(line)
    return found


def chain(target: str) -> list[Stage]:
    """The stages that an image is made of, the base first."""
    known = stages()
    stage = known[target]
    return [*(chain(stage.base) if stage.base in known else []), stage]


def is_ignored(path: Path) -> bool:
    """Whether the ignore file keeps a file of the context out: the last line that fits decides."""
    ignored = False
    whole = [str(part) for part in (path, *path.parents)]
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        anywhere = pattern.startswith("**/")
        names = [Path(name).name for name in whole] if anywhere else whole
        fits = any(fnmatch.fnmatch(name, pattern.removeprefix("**/")) for name in names)
        if fits and not line.startswith("#"):
            ignored = not line.startswith("!")
    return ignored


def copy_image(target: str, folder: Path) -> Path:
    """Make the image's /app in a new folder, without its packages; returns the folder."""
    folder.mkdir()
    for stage in chain(target):
        for source, place in stage.copies:
            for file in _files(ROOT / source):
                if not is_ignored(file.relative_to(ROOT)):
                    inside = file.relative_to(ROOT / source)
                    copy = folder / place / (inside if inside.name else file.name)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(file, copy)
    return folder


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    else:
        yield from (file for file in path.rglob("*") if file.is_file())
