import pkgutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from sandbox.context import Context
from sandbox.scenarios import ChaosCases
from sandbox.side import ProviderSide

Build = Callable[[Context], ProviderSide]


def find_sides() -> dict[str, Build]:
    """Every provider's side, by its name."""
    return dict(_found())


def chaos_cases() -> dict[str, ChaosCases]:
    """What chaos tests may do with the providers that take part, by name."""
    return {name: side.chaos for name, side in _found().items() if side.chaos is not None}


def _found() -> dict[str, Any]:
    """`SIDE` of each folder's `side.py`.

    Found by folder, not listed: no money moves here, and a new provider is one folder.
    """
    folders = [
        found.name
        for found in pkgutil.iter_modules([str(Path(__file__).parent)])
        if found.ispkg and (Path(__file__).parent / found.name / "side.py").exists()
    ]
    return {name: import_module(f"sandbox.{name}.side").SIDE for name in sorted(folders)}
