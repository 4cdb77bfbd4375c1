"""The comparison: books in, findings out. No I/O, no clock."""

from collections.abc import Sequence

from audit.books import Books
from audit.finding import Finding, Severity
from audit.forgeries import believed
from audit.money import captured
from audit.refunds import given_back
from audit.running import open_runs
from audit.statements import settled
from audit.telling import told

_QUESTIONS = (captured, given_back, told, open_runs, believed, settled)


def compare(books: Books) -> list[Finding]:
    """Every difference; errors first, then by promise."""
    found = [finding for question in _QUESTIONS for finding in question(books)]
    return in_order(found)


def in_order(findings: Sequence[Finding]) -> list[Finding]:
    """As they are shown."""
    return sorted(
        findings, key=lambda found: (found.severity is not Severity.ERROR, found.promise.number)
    )
