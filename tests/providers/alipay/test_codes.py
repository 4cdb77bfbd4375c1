"""Alipay's error code tables, gone through whole: see `published.py` for where they are from."""

import pytest

from providers.alipay.codes import CODES, SUB_CODES, UNHEARD, bare, verdict_of
from providers.base import Verdict
from tests.providers.alipay.published import CUT_OFF, ORDER, PUBLIC, REFUND, UNKNOWN

DOCUMENTED = PUBLIC | REFUND | ORDER
# Nobody can say whether it was done: query. The last two are in no published table.
UNKNOWN_ON_PURPOSE = {
    "SYSTEM_ERROR",
    "isp.unknow-error",
    "aop.unknow-error",
    "QUERY_NO_RESULT",
    "BUSINESS_TIMEOUT_ERROR",
}


def test_every_documented_code_has_a_verdict() -> None:
    names = {bare(sub_code) for _, sub_code in DOCUMENTED}
    assert (len({name for _, name in PUBLIC}), len(REFUND), len(ORDER)) == (46, 31, 110)
    assert len(names) == 171
    assert names == set(SUB_CODES) - {"QUERY_NO_RESULT", "BUSINESS_TIMEOUT_ERROR"}
    unknown = {name for name, verdict in SUB_CODES.items() if verdict is UNKNOWN}
    assert unknown == UNKNOWN_ON_PURPOSE


@pytest.mark.parametrize(("code", "sub_code"), DOCUMENTED)
def test_a_documented_code_means_what_its_text_says(code: str, sub_code: str) -> None:
    assert verdict_of(code, sub_code) is DOCUMENTED[(code, sub_code)]


def test_the_tables_agree_where_they_share_a_code() -> None:
    shared = set(REFUND) & set(ORDER)
    assert {code: REFUND[code] for code in shared} == {code: ORDER[code] for code in shared}


@pytest.mark.parametrize("sub_code", CUT_OFF)
def test_a_code_that_is_cut_off_at_32_characters_keeps_its_verdict(sub_code: str) -> None:
    assert len(sub_code) == 32
    assert verdict_of("40004", sub_code) is CUT_OFF[sub_code]


def test_older_answers_misspell_the_prefix() -> None:
    assert verdict_of("40004", "AQC.SYSTEM_ERROR") is UNKNOWN
    assert verdict_of("40004", "AQC.TRADE_HAS_CLOSE") is Verdict.REJECTED


def test_only_a_no_to_our_account_can_be_about_who_queries() -> None:
    assert {SUB_CODES[sub_code] for sub_code in UNHEARD} == {Verdict.BLOCKED}
    assert not {sub_code for sub_code in UNHEARD if sub_code.isupper()}


@pytest.mark.parametrize("sub_code", ["isv.decryption-error-unknown", "isv.invalid-encrypt"])
def test_a_failed_decryption_that_alipay_says_to_try_again_is_about_nobody(sub_code: str) -> None:
    assert sub_code not in UNHEARD


@pytest.mark.parametrize(
    ("code", "sub_code", "verdict"),
    [
        ("10000", "", Verdict.PENDING),
        ("10003", "", Verdict.PENDING),
        ("20000", "ACQ.SYSTEM_ERROR", UNKNOWN),
        ("40004", "ACQ.SOMETHING_NEW", UNKNOWN),
        ("40004", "ACQ.SOMETHING_NEW_THAT_IS_CUT_OFF", UNKNOWN),
        ("40004", "ACQ." + "X" * 28, UNKNOWN),
        ("40004", "", UNKNOWN),
        ("40001", "isv.something-new", Verdict.REJECTED),
        ("40002", "isv.something-new", Verdict.REJECTED),
        ("40003", "isv.something-new", Verdict.BLOCKED),
        ("40005", "isv.something-new", Verdict.NOT_PROCESSED),
        ("40006", "isv.something-new", Verdict.BLOCKED),
        ("20001", "aop.something-new", Verdict.BLOCKED),
        ("20000", "ACQ.BUYER_BALANCE_NOT_ENOUGH", UNKNOWN),
        ("10000", "ACQ.BUYER_BALANCE_NOT_ENOUGH", Verdict.PENDING),
        ("99999", "", UNKNOWN),
        ("", "", UNKNOWN),
    ],
)
def test_an_unknown_code_is_judged_by_its_class(code: str, sub_code: str, verdict: Verdict) -> None:
    assert verdict_of(code, sub_code) is verdict


def test_every_class_has_a_verdict() -> None:
    assert len(CODES) == 10
    assert set(CODES) >= {code for code, _ in DOCUMENTED}
