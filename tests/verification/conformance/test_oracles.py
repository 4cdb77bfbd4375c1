"""Third parties agree with our sandbox and with our provider code."""

import pytest

from verification.conformance.run import run_all

pytestmark = pytest.mark.stack


def test_independent_clients_agree_with_the_sandbox_and_with_our_providers() -> None:
    results = run_all()
    assert not results.failed, results.table()
    oracles = {result.oracle for result in results.all}
    # A skipped client has its line too.
    assert len(oracles) == 16, oracles
