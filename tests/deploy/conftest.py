import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>(?:[^{}]|\$\{[^{}]*\})*))?\}")


def read_env(path: Path) -> dict[str, str]:
    lines = (line.strip() for line in path.read_text().splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def interpolate(text: str, values: dict[str, str]) -> str:
    """Compose's `${A}`, `${A:-default}` and `${A:?message}`, one level of nesting."""

    def replace(match: re.Match[str]) -> str:
        value = values.get(match["name"], "")
        if value or match["kind"] is None:
            return value
        assert match["kind"] == "-", f"{match['name']} is required: {match['rest']}"
        return interpolate(match["rest"], values)

    return _VARIABLE.sub(replace, text)


def load_compose(values: dict[str, str]) -> dict[str, Any]:
    text = (ROOT / "docker-compose.yml").read_text()
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    loaded: dict[str, Any] = yaml.safe_load(interpolate(code, values))
    return loaded


@pytest.fixture
def root() -> Path:
    return ROOT


@pytest.fixture(params=[".env.example", "deploy/sandbox.env"])
def compose(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The compose file as each of the two shipped environments makes it."""
    return load_compose(read_env(ROOT / request.param))


@pytest.fixture
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


@pytest.fixture
def variables() -> set[str]:
    """Every variable that the compose file reads."""
    return {
        match["name"] for match in _VARIABLE.finditer((ROOT / "docker-compose.yml").read_text())
    }


@pytest.fixture
def fake_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put a shell script first on PATH under a name."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def install(name: str, script: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    return install


@pytest.fixture
def execute() -> Any:
    """Run a program of ours in the project's root; the environment's additions as keywords."""

    def run(*command: object, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own scripts
            [str(word) for word in command],
            cwd=ROOT,
            env=os.environ | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )

    return run
