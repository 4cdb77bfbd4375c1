"""What an operator may set of a merchant and its keys.

Checked when it is set. What is stored already is read as it is, whatever the rules were then.
"""

import re
from unicodedata import category

from domain.errors import InvalidRequest

# Temporal's fairness key, which the id becomes, has 64 bytes.
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
LONGEST_NAME = 100
LONGEST_LABEL = 64
# Control characters, halves of surrogate pairs, and other line ends.
_NOT_ON_ONE_LINE = frozenset({"Cc", "Cs", "Zl", "Zp"})


def check_merchant_id(text: str) -> None:
    """Raise InvalidRequest unless this can be a new merchant's id."""
    if not _ID.fullmatch(text):
        raise InvalidRequest(
            "A merchant's id has 1 to 64 of a-z, 0-9, - and _, and begins with a letter or a digit,"
            " such as tea-shop. What people call it goes into --name.",
            param="merchant_id",
        )


def check_name(text: str) -> None:
    """Raise InvalidRequest unless this can be a merchant's name."""
    _check_line(text, "name", LONGEST_NAME)


def check_label(text: str) -> None:
    """Raise InvalidRequest unless this can be the label of an API key; it may be empty."""
    if text:
        _check_line(text, "label", LONGEST_LABEL)


def _check_line(text: str, param: str, longest: int) -> None:
    if not text.strip() or len(text) > longest:
        raise InvalidRequest(f"The {param} has 1 to {longest} characters.", param=param)
    if any(category(character) in _NOT_ON_ONE_LINE for character in text):
        raise InvalidRequest(f"The {param} is one line without control characters.", param=param)
