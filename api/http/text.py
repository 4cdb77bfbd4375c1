"""Text that everything behind the API can store.

PostgreSQL keeps no U+0000 and no half of a surrogate pair, providers' forms take one line, and a
log must not be steered by what it prints: control characters are rejected, never dropped silently.
"""

from typing import Annotated
from unicodedata import category

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

_REFUSED = frozenset({"Cc", "Cs"})


def _one_line(value: str) -> str:
    if any(category(character) in _REFUSED for character in value):
        raise PydanticCustomError("control_character", "control characters are not allowed")
    return value


Text = Annotated[str, AfterValidator(_one_line)]


def printable(value: str) -> str:
    """The text as an answer in UTF-8 can carry it: what it cannot is escaped."""
    return value.encode(errors="backslashreplace").decode()
