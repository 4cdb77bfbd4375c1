"""Every parser under fuzz, as data: `<provider>_parsers()` of `<provider>_parsers.py`.

`test_parsers.py` does the same to all of them.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path

from tests.fuzz.mangling import Message
from tests.fuzz.under_fuzz import Parser

PARSERS: dict[str, Callable[[], Parser]] = {
    name: build
    for file in sorted(Path(__file__).parent.glob("*_parsers.py"))
    if not file.stem.startswith("test_")
    for name, build in getattr(import_module(f"tests.fuzz.{file.stem}"), file.stem)().items()
}


@cache
def parser(name: str) -> Parser:
    return PARSERS[name]()


@cache
def genuine_messages(name: str) -> list[Message]:
    """Sealed once: seals have nonces, and hypothesis must meet the same bytes again."""
    return [parser(name).seal(content) for content in parser(name).contents]
