from pathlib import Path

import pytest

from verification.benchmarks.bars import PARTS, at_least, at_most, left_out, of_flooding, of_signing
from verification.benchmarks.figures import quantiles, spread
from verification.benchmarks.flooding import ALONE, PHASES, Flooding
from verification.benchmarks.report import END, Report, begin_of, write_into
from verification.benchmarks.signing import OPENSSL, OURS, judge

BEGIN = begin_of()


def test_quantiles_are_milliseconds_of_seconds() -> None:
    found = quantiles([0.001 * n for n in range(1, 101)])

    assert (found["n"], found["p50"], found["p99"]) == (100, 50.5, 100)


def test_a_figure_of_several_rounds_shows_its_range() -> None:
    assert spread([3, 1, 2]) == {"median": 2, "lowest": 1, "highest": 3}


def test_a_bar_holds_on_its_edge_and_falls_beyond() -> None:
    assert [at_least("", 0.7, found)["holds"] for found in (0.7, 0.69)] == [True, False]
    assert [at_most("", 24, found)["holds"] for found in (24, 25)] == [True, False]


def test_signing_is_judged_within_each_round_on_the_sdks_own_library() -> None:
    rounds = {
        OURS: [{"sign": rate, "verify": rate} for rate in (90.0, 45.0, 90.0)],
        OPENSSL: [{"sign": rate, "verify": rate} for rate in (100.0, 50.0, 100.0)],
        "same": [{"sign": 98.0, "verify": 1.0, "ours": ours} for ours in (98.1, 99.0, 98.0)],
        "faster": [{"sign": 98.0, "verify": 1.0, "ours": 90.0}] * 3,
    }

    measured = judge(rounds)

    found = {bar["name"].split()[2]: bar["holds"] for bar in of_signing(measured)}
    assert found == {"openssl": True, "same": True, "faster": False}
    assert measured["ratios"] == {OPENSSL: 0.9, "same": 1.001, "faster": 0.918}
    assert measured["noise"] == {OPENSSL: 0.0, "same": 0.001, "faster": 0.0}


def test_only_the_figures_of_a_document_are_replaced(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")

    for figures in ("new\n", "newer\n"):
        write_into(document, figures)

    assert document.read_text() == f"before\n{BEGIN}\nnewer\n{END}\nafter\n"


def test_a_report_shows_a_bar_that_fell() -> None:
    fallen = at_most("events", 24, 25)
    report = Report(machine="a machine", date="today", bars=[fallen])

    assert "| events | <= 24 | 25 | **no** |" in report.markdown()


def test_a_report_names_the_bars_that_were_not_measured() -> None:
    missing = left_out(["compare", "open", "starve"], held=800)
    report = Report(machine="a machine", date="today", left_out=missing)

    assert "| signing |  |  | not measured |" in report.markdown()
    assert "memory with open payments: it takes 16000 of them" in missing
    assert left_out(list(PARTS), held=20000) == []


@pytest.mark.parametrize("command", ["make bench", "make bench-production"])
def test_figures_have_a_place_in_the_document(tmp_path: Path, command: str) -> None:
    document = tmp_path / "performance.md"
    real = Path(__file__).parents[3] / "docs" / "performance.md"
    document.write_text(real.read_text())

    write_into(document, "new\n", command)

    assert f"{begin_of(command)}\nnew\n{END}" in document.read_text()


@pytest.mark.parametrize("gone", [BEGIN, END])
def test_a_document_without_its_marks_is_left_alone(tmp_path: Path, gone: str) -> None:
    document = tmp_path / "performance.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n".replace(gone, ""))

    with pytest.raises(ValueError, match="marks"):
        write_into(document, "new\n")


def test_a_flood_is_judged_by_the_other_merchants_p99_and_shown_with_its_control() -> None:
    alone = quantiles([0.02] * 50)
    create = {phase: quantiles([0.02 * (n + 1)] * 50) for n, phase in enumerate(PHASES)}
    answers = {phase: {"201": 5.0, "429": 52.0} for phase in PHASES if phase != ALONE}
    for ratio, holds in ((1.5, True), (1.6, False)):
        flooded = Flooding(
            rate=4,
            connections=60,
            create=create,
            acknowledge=dict.fromkeys(PHASES, alone),
            answers=answers,
            p99_ratio=ratio,
        )
        [bar] = of_flooding(flooded)
        assert bar["holds"] is holds
    shown = Report(machine="a machine", date="today", flooded=flooded).markdown()
    assert "| with a flooding merchant | 50 | 40 / 40 | 20 / 20 | 201: 5, 429: 52 |" in shown
    assert "| alone | 50 | 20 / 20 | 20 / 20 |  |" in shown
