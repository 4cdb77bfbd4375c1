"""Notifications that nobody may believe (P7)."""

from collections.abc import Iterator

from audit.books import Books
from audit.finding import Finding, Promise

FALSE = frozenset({"tamper_body", "foreign_key", "unknown_serial", "signtest"})
# Signed as they must be, about something else.
FOREIGN = frozenset({"wrong_amount", "foreign_app"})
# WeChat Pay signs the time. Alipay repeats for a day, and its notifications never age.
AGEING = {"wechatpay": frozenset({"stale"})}


def believed(books: Books) -> Iterator[Finding]:
    """Every false notification that was acknowledged as good."""
    for attempt in books.provider.attempts if books.provider else ():
        false = FALSE | FOREIGN | AGEING.get(attempt.provider, frozenset())
        if attempt.accepted and attempt.fault in false:
            yield Finding(
                Promise.FORGERY_BELIEVED,
                attempt.reference,
                f"a notification of {attempt.provider} with the fault {attempt.fault!r}"
                " was acknowledged",
                "Check what it changed; compare with the provider's own answer to a query.",
            )
