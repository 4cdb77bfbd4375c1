"""The comparison: records in, findings out. No I/O, no clock."""

from collections.abc import Sequence

from reconciliation.audit.events import check_events
from reconciliation.audit.finding import Finding, Severity
from reconciliation.audit.forgeries import check_forgeries
from reconciliation.audit.money import check_captures
from reconciliation.audit.open_workflows import check_workflows
from reconciliation.audit.records import Records
from reconciliation.audit.refunds import check_refunds
from reconciliation.audit.statements import check_statements

_CHECKS = (
    check_captures,
    check_refunds,
    check_events,
    check_workflows,
    check_forgeries,
    check_statements,
)


def compare(records: Records) -> list[Finding]:
    """Every difference; errors first, then by promise."""
    found = [finding for check in _CHECKS for finding in check(records)]
    return in_order(found)


def in_order(findings: Sequence[Finding]) -> list[Finding]:
    """As they are shown."""
    return sorted(
        findings, key=lambda found: (found.severity is not Severity.ERROR, found.promise.number)
    )
