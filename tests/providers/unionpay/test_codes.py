import pytest

from providers.base import Verdict
from providers.unionpay import codes
from providers.unionpay.codes import State

DOCUMENTED = (
    *(f"{number:02}" for number in range(1, 7)),
    *("00", "A6", "10", "11", "12", "13", "14", "98", "99"),
    *(str(number) for number in (*range(30, 40), 42, 45, 46, *range(60, 71), *range(72, 84))),
    *(str(number) for number in range(85, 91)),
)


def test_every_documented_code_has_its_place_in_both_tables() -> None:
    known = set(DOCUMENTED) - {"71", "76"}
    assert set(codes.STATES) == known
    assert set(codes.CALLS) == known


@pytest.mark.parametrize("code", ["", "07", "ZZ", "000", "a6"])
def test_an_undocumented_code_is_never_a_failure(code: str) -> None:
    assert codes.verdict_of(code) is Verdict.UNKNOWN
    assert codes.question_verdict(code) is Verdict.UNKNOWN
    assert codes.state_of(code) is State.PENDING


@pytest.mark.parametrize("code", ["03", "04", "01", "12", "34", "60", "99"])
def test_what_the_official_samples_keep_asking_about_is_unknown(code: str) -> None:
    assert codes.verdict_of(code) is Verdict.UNKNOWN


def test_only_two_codes_are_money() -> None:
    done = [code for code, state in codes.STATES.items() if state is State.DONE]
    assert sorted(done) == ["00", "A6"]


@pytest.mark.parametrize("code", sorted(set(DOCUMENTED)))
def test_a_refused_question_is_never_a_no(code: str) -> None:
    assert codes.question_verdict(code) is not Verdict.REJECTED


@pytest.mark.parametrize("code", ["74", "75", "66", "83"])
def test_a_state_that_is_no_success_is_never_paid(code: str) -> None:
    assert codes.state_of(code) is not State.DONE
