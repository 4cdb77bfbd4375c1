"""The table must not be able to hide a failure."""

import json
import sys
from pathlib import Path

import pytest

from oracles import run
from oracles.result import Results


def test_a_check_that_raises_is_a_failed_line_with_its_reason() -> None:
    results = Results()
    with results.check("an oracle", "a check"):
        raise ValueError("the reason")
    assert [result.passed for result in results.all] == [False]
    assert "FAIL  a check" in results.table()
    assert "ValueError: the reason" in results.table()
    assert results.table().endswith("0 passed, 1 failed")


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The script of an SDK, which our own interpreter runs."""
    path = tmp_path / "oracles" / "sdk" / "check.py"
    path.parent.mkdir(parents=True)
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "interpreter", lambda _name: Path(sys.executable))
    return path


def test_a_script_that_crashes_half_way_is_a_failure(script: Path) -> None:
    line = json.dumps({"name": "first", "passed": True, "detail": ""})
    script.write_text(f"print({line!r})\nraise SystemExit('broken')\n")
    found = run.run_check("sdk", Path("none"))
    assert [result.passed for result in found] == [True, False]
    assert "broken" in found[1].detail


def test_a_script_that_checks_nothing_is_a_failure(script: Path) -> None:
    script.write_text("")
    assert [result.passed for result in run.run_check("sdk", Path("none"))] == [False]
