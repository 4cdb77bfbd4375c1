import pkgutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from sandbox.context import Context
from sandbox.side import ProviderSide

Build = Callable[[Context], ProviderSide]


def find_sides() -> dict[str, Build]:
    """Every provider's side, by its name: `SIDE` of each folder's `side.py`.

    Found by folder, not listed: no money moves here, and a new provider is one folder.
    """
    folders = [
        found.name
        for found in pkgutil.iter_modules([str(Path(__file__).parent)])
        if found.ispkg and (Path(__file__).parent / found.name / "side.py").exists()
    ]
    return {name: import_module(f"sandbox.{name}.side").SIDE for name in sorted(folders)}
