"""Fields that decide nothing: no form of theirs may lose a message.

What decides money, identity or state is parsed strictly by each provider's own shapes.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator

# Python reads no number of more digits; a longer one stays text.
_LONGEST_NUMBER = 4300
# Bytes that are not of the declared charset survive a round trip, so that a signature over them
# still verifies; `Words` replaces them where they are kept.
UNDECODABLE = "surrogateescape"


def informational(value: object) -> str | None:
    """Return the field's text, a number as it is written, None for anything else."""
    if isinstance(value, str):
        return value
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return str(value) if is_number else None


def whole_number(digits: str) -> int | str:
    """Return the number; its text where no field of ours has so many digits."""
    return int(digits) if len(digits) <= _LONGEST_NUMBER else digits


def without_null(*, default: object) -> Callable[[object], object]:
    """Return what takes null for a field that is absent."""
    return lambda value: default if value is None else value


Informational = Annotated[str | None, BeforeValidator(informational)]
"""Text that decides nothing."""

NumberText = Annotated[str, BeforeValidator(lambda value: informational(value) or value)]
"""Text that may come as a number."""

EmptyText = Annotated[str, BeforeValidator(without_null(default=""))]
"""Text for which null means that it is empty."""
