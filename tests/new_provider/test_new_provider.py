"""Adding a provider is three folders and one line, and what is written works."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.new_provider.__main__ import PLACES, REGISTRY, write_provider

ROOT = Path(__file__).parents[2]
NAME = "toypay"
FOLDERS = {f"{parent}/{NAME}" for parent in PLACES.values()}


def files_of(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def run(project: Path, *command: str) -> subprocess.CompletedProcess[str]:
    # A coverage run of ours must not measure the copy.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("COV_", "PYTEST_"))}
    return subprocess.run(  # noqa: S603 - our own modules
        [sys.executable, "-m", *command],
        cwd=project,
        env=inherited,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this project's sources, as a developer has them."""
    copy = tmp_path_factory.mktemp("new") / "project"
    hidden = shutil.ignore_patterns(".*", "__pycache__", "node_modules")
    shutil.copytree(ROOT, copy, ignore=hidden)
    return copy


@pytest.fixture(scope="module")
def before(project: Path) -> dict[str, bytes]:
    return files_of(project)


@pytest.fixture(scope="module")
def generated(project: Path, before: dict[str, bytes]) -> Path:
    assert before
    done = run(project, "tests.new_provider", NAME)
    assert done.returncode == 0, done.stderr
    return project


def test_a_new_provider_touches_its_folders_and_one_line_of_the_registry(
    generated: Path, before: dict[str, bytes]
) -> None:
    after = files_of(generated)

    changed = {path for path in before if after.get(path) != before[path]}
    added = {path for path in after.keys() - before.keys() if not path.startswith(".")}
    assert changed == {str(REGISTRY)}
    assert {str(Path(path).parent) for path in added} == FOLDERS
    old, new = (files[str(REGISTRY)].decode().splitlines() for files in (before, after))
    assert [line for line in new if line not in old] == [f'    "{NAME}",']
    assert len(new) == len(old) + 1


def test_what_is_written_passes_the_linter(generated: Path) -> None:
    for command in (("check",), ("format", "--check")):
        done = run(generated, "ruff", *command, "--no-cache", *sorted(FOLDERS), str(REGISTRY))
        assert done.returncode == 0, done.stdout


def test_what_is_written_keeps_the_contract_of_every_provider(generated: Path) -> None:
    done = run(generated, "pytest", "-q", "-p", "no:cacheprovider", "tests/providers", "-k", NAME)

    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout


@pytest.mark.parametrize(
    "name", ["", "Toypay", "toy-pay", "../toypay", "kit", "1pay", "alipay", "toypay "]
)
def test_a_name_that_is_none_or_is_taken_writes_nothing(tmp_path: Path, name: str) -> None:
    registry = tmp_path / REGISTRY
    registry.parent.mkdir()
    registry.write_text('_NAMES = (\n    "alipay",\n)\n')
    (tmp_path / "providers" / "alipay").mkdir()
    before = files_of(tmp_path)

    with pytest.raises(ValueError, match=r"no name|exists"):
        write_provider(tmp_path, name)

    assert files_of(tmp_path) == before
