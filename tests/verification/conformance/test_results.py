"""The table must not be able to hide a failure."""

import hashlib
import json
import sys
from pathlib import Path

import pytest

from verification.conformance import run, toolchains
from verification.conformance.result import Results
from verification.conformance.toolchains import JAVA_NAMES, NODE_NAMES, PackagesError, check_jars


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
    path = tmp_path / "verification" / "conformance" / "sdk" / "check.py"
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


def test_an_absent_toolchain_is_a_skipped_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for name, programs in ((NODE_NAMES[0], "node and npm"), (JAVA_NAMES[0], "java and javac")):
        results = Results(run.run_foreign(name, Path("none")))
        assert not results.failed
        assert f"skip  skipped: {programs}" in results.table()
        assert results.table().endswith("0 passed, 0 failed, 1 skipped")


def test_packages_that_do_not_install_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_name: str) -> list[str]:
        raise PackagesError("another hash")

    monkeypatch.setattr(run, "command", fail)
    results = Results(run.run_foreign(NODE_NAMES[0], Path("none")))
    assert [result.passed for result in results.failed] == [False]
    assert "another hash" in results.table()


@pytest.mark.parametrize(
    "reason",
    [
        "npm error code EINTEGRITY\nnpm error A complete log of this run can be found in: /tmp/log",
        "Could not transfer artifact a:jar:1: Checksum validation failed, expected 'a' (REMOTE)",
    ],
)
def test_a_package_with_another_checksum_is_a_failure_and_not_skipped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reason: str
) -> None:
    def refuse(_arguments: list[str]) -> None:
        raise PackagesError(reason)

    monkeypatch.setattr(toolchains, "FOLDER", tmp_path)
    monkeypatch.setattr(toolchains, "_require", lambda *_programs: None)
    monkeypatch.setattr(toolchains, "_output", lambda _arguments: "v24.0.0")
    monkeypatch.setattr(toolchains, "_run", refuse)
    results = Results(run.run_foreign(NODE_NAMES[0], Path("none")))
    assert (len(results.failed), results.skipped) == (1, [])


@pytest.mark.parametrize("change", ["altered", "missing", "added"])
def test_only_the_locked_jars_are_run(tmp_path: Path, change: str) -> None:
    locked = ""
    for name in ("a-1.jar", "b-2.jar"):
        (tmp_path / name).write_bytes(name.encode())
        locked += f"{hashlib.sha256(name.encode()).hexdigest()}  {name}\n"
    check_jars(tmp_path, locked)
    if change == "altered":
        (tmp_path / "a-1.jar").write_bytes(b"else")
    elif change == "missing":
        (tmp_path / "a-1.jar").unlink()
    else:
        (tmp_path / "c-3.jar").write_bytes(b"")
    with pytest.raises(PackagesError):
        check_jars(tmp_path, locked)
