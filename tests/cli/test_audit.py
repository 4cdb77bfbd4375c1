"""What the audit prints: no kind of finding hides another."""

import pytest

from cli.audit import MOST_ROWS, show
from reconciliation.audit.auditor import Audit
from reconciliation.audit.finding import Finding, Promise


def finding(promise: Promise, number: int) -> Finding:
    return Finding(promise, f"{number:032x}", "what", "advice")


def test_the_number_of_each_kind_comes_first_and_many_of_one_hide_no_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    many = [finding(Promise.EVENT_NOT_DELIVERED, number) for number in range(500)]
    few = [finding(Promise.DOUBLE_CAPTURE, number) for number in range(2)]

    show(Audit([*many, *few], {"payments": 502}))

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"500 × event not delivered, the first {MOST_ROWS} below"
    assert lines[1] == "2 × double capture"
    rows = [line for line in lines[2:] if "advice" in line]
    assert sum("double capture" in row for row in rows) == len(few)
    assert sum("event not delivered" in row for row in rows) == MOST_ROWS
    assert "Not clean: 502 findings." in lines
