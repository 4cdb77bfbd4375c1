"""Habits that no linter holds."""

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

ROOT = Path(__file__).parent.parent
LONGEST_FILE = 300
LONGEST_FUNCTION = 50
TOP = {
    "activities", "api", "cli", "crypto", "deploy", "docs", "domain", "engine", "providers",
    "reconciliation", "sandbox", "storage", "tests", "verification", "webhooks", "workflows",
    "docker-compose.yml", "settings.py", "worker.py",
}  # fmt: skip
FIXED = {"workflows", "activities", "api", "worker.py", "docker-compose.yml", "tests"}
NAMELESS = {"utils", "common", "shared", "service", "manager", "helpers", "misc"}


def tracked() -> list[Path]:
    """Every file that a clone has; those of this tree where there is no repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached"],  # noqa: S607 - git is wherever the developer has it
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        return [path for path in ROOT.rglob("*") if ".venv" not in path.parts]
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name]


PYTHON = [path for path in tracked() if path.suffix == ".py" and path.exists()]
SOURCES = [path for path in PYTHON if path.relative_to(ROOT).parts[0] != "tests"]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def comments(path: Path) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def hands_it_on(handler: ast.ExceptHandler) -> bool:
    return any(isinstance(node, ast.Raise) and node.exc is None for node in handler.body)


def catches_everything(node: ast.AST) -> TypeGuard[ast.ExceptHandler]:
    """It does not hand it on either."""
    if not isinstance(node, ast.ExceptHandler) or hands_it_on(node):
        return False
    broad = ("Exception", "BaseException")
    return node.type is None or (isinstance(node.type, ast.Name) and node.type.id in broad)


def test_files_fit_a_readers_head() -> None:
    assert [name(p) for p in SOURCES if len(p.read_text().splitlines()) > LONGEST_FILE] == []


def test_functions_fit_a_screen() -> None:
    long = [
        f"{name(path)}: {found.name}"
        for path in SOURCES
        for found in functions(path)
        if (found.end_lineno or 0) - found.lineno >= LONGEST_FUNCTION
    ]

    assert long == []


def test_nothing_is_left_for_later() -> None:
    # Case-sensitive whole words, so that prose may speak of a "todo list".
    later = [
        f"{name(path)}:{line}"
        for path in PYTHON
        for line, text in comments(path)
        if re.search(r"\b(TODO|FIXME|XXX)\b", text)
    ]

    assert later == []


def test_whoever_catches_everything_says_why() -> None:
    unexplained = []
    for path in SOURCES:
        explained = {line for line, text in comments(path) if len(text.split()) > 2}
        unexplained += [
            f"{name(path)}:{node.lineno}"
            for node in ast.walk(ast.parse(path.read_text()))
            if catches_everything(node)
            and not {node.lineno - 1, node.lineno, node.lineno + 1} & explained
        ]

    assert unexplained == []


def test_package_files_are_empty() -> None:
    full = [name(path) for path in PYTHON if path.name == "__init__.py" and path.read_text()]

    assert full == []


def test_no_file_is_a_drawer_for_anything() -> None:
    assert [name(path) for path in PYTHON if path.stem in NAMELESS] == []


def test_the_top_of_the_tree_is_as_it_was_agreed() -> None:
    found = {path.relative_to(ROOT).parts[0] for path in tracked()}
    code = {
        top
        for top in found
        if not top.startswith(".") and ((ROOT / top).is_dir() or top.endswith((".py", ".yml")))
    }

    assert code >= FIXED
    assert code <= TOP
