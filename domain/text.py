"""Words from outside, as every book of ours can keep them.

PostgreSQL takes no U+0000, and neither it, Temporal nor JSON takes half of a surrogate pair (what
is left of an emoji that somebody cut). Providers' texts are for operators: what cannot be kept is
replaced, because an answer must not be lost over it.
"""

from typing import Annotated, Any

from pydantic import BeforeValidator

# A provider's longest message is a sentence; an index takes this much too.
LONGEST_WORDS = 500


def keepable(text: str) -> str:
    """The text without what the database rejects."""
    return text.encode(errors="replace").decode().replace("\0", "?")


def _kept(value: Any) -> Any:
    return keepable(value) if isinstance(value, str) else value


def _shortened(value: Any) -> Any:
    return keepable(value[:LONGEST_WORDS]) if isinstance(value, str) else value


Kept = Annotated[str, BeforeValidator(_kept)]
"""Text that a provider gave us to hand on whole."""

Words = Annotated[str, BeforeValidator(_shortened)]
"""Text that a provider says, no longer than `LONGEST_WORDS`."""
