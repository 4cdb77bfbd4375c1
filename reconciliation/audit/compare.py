"""The comparison: books in, findings out. No I/O, no clock."""

from collections.abc import Sequence

from reconciliation.audit.books import Books
from reconciliation.audit.finding import Finding, Severity
from reconciliation.audit.forgeries import believed
from reconciliation.audit.money import captured
from reconciliation.audit.refunds import given_back
from reconciliation.audit.running import open_runs
from reconciliation.audit.statements import settled
from reconciliation.audit.telling import told

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
