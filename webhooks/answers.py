"""What an endpoint's answer means. Lenient: an answer that we cannot read is no veto."""

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

from domain.frozen import Frozen

LONGEST_REASON = 200
# Longer than this is not "later" but "never"; the caller's own schedule knows better.
LONGEST_RETRY_AFTER_SECONDS = 24 * 3600.0


class WebhookAnswer(Frozen):
    """What the merchant's endpoint said: the HTTP status, and a veto where it sent one."""

    status: int
    decision: Literal["refund"] | None = None
    reason: str | None = None


def read_answer(status: int, body: bytes) -> WebhookAnswer:
    """The answer; `decision` only where the body is a JSON object that says exactly that."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return WebhookAnswer(status=status)
    if not isinstance(said, dict) or said.get("decision") != "refund":
        return WebhookAnswer(status=status)
    reason = said.get("reason")
    return WebhookAnswer(
        status=status,
        decision="refund",
        reason=_printable(reason) if isinstance(reason, str) else None,
    )


def read_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds to wait, from a `Retry-After` in seconds or as a date (RFC 9110, 10.2.3)."""
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return min(float(value), LONGEST_RETRY_AFTER_SECONDS)
    try:
        date = parsedate_to_datetime(value)
    # A year or a zone of many digits overflows instead.
    except (ValueError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return min(max((date - now).total_seconds(), 0.0), LONGEST_RETRY_AFTER_SECONDS)


def _printable(reason: str) -> str | None:
    """The reason as one line that a provider's form and a database take."""
    return "".join(filter(str.isprintable, reason))[:LONGEST_REASON].strip() or None
