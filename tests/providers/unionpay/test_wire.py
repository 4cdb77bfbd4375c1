from datetime import UTC, datetime

import pytest

from providers.unionpay import wire
from providers.unionpay.wire import Malformed


def test_an_answer_keeps_what_a_form_parser_would_break() -> None:
    body = "respMsg=成功[0000000]&signPubKeyCert=-----BEGIN\r\na+b/=\r\nEND&signature=x+y/z=="
    assert wire.parse_answer(body.encode()) == {
        "respMsg": "成功[0000000]",
        "signPubKeyCert": "-----BEGIN\r\na+b/=\r\nEND",
        "signature": "x+y/z==",
    }


def test_brackets_hide_what_is_inside_of_them() -> None:
    body = b"a={x=1&y=2}&b=[p=1&q={2]&c=&d=1{}2"
    assert wire.parse_answer(body) == {
        "a": "{x=1&y=2}",
        "b": "[p=1&q={2]",
        "c": "",
        "d": "1{}2",
    }


def test_an_answer_in_brackets_is_unwrapped() -> None:
    assert wire.parse_answer(b"{respCode=00&a=1}\n") == {"respCode": "00", "a": "1"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"&",
        b"a",
        b"a=1&b",
        b"a=1&b={x=1&signature=1",
        b"a=1&a=1",
        b"a=1&&b=2",
        b"=1",
        b"<html>a=1</html>",
        b"\xff=1",
        b"a=" + b"x" * wire.LARGEST_MESSAGE,
    ],
)
def test_what_is_no_answer_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        wire.parse_answer(body)


def test_a_form_is_read_in_its_own_charset() -> None:
    text = "encoding=GBK&respMsg=%B3%C9%B9%A6&empty="
    assert wire.parse_form(text.encode()) == {"encoding": "GBK", "respMsg": "成功", "empty": ""}


@pytest.mark.parametrize("body", [b"a", b"a=1&a=1", b"\xff", b"=1", b"a b=1"])
def test_what_is_no_form_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        wire.parse_form(body)


def test_times_are_beijings_whatever_the_zone() -> None:
    at = datetime(2026, 12, 31, 16, 0, 5, tzinfo=UTC)
    assert wire.stamp(at) == "20270101000005"
    assert wire.moment("20270101000005") == at


@pytest.mark.parametrize("text", ["", "2027010100000", "20271301000005", "２0270101000005"])
def test_what_is_no_time_is_none(text: str) -> None:
    assert wire.moment(text) is None


def test_a_time_without_a_year_takes_the_nearest() -> None:
    new_year = datetime(2026, 12, 31, 15, 59, 58, tzinfo=UTC)
    assert wire.without_year("0101000001", new_year) == datetime(2026, 12, 31, 16, 0, 1, tzinfo=UTC)
    after = datetime(2026, 12, 31, 16, 0, 1, tzinfo=UTC)
    assert wire.without_year("1231235958", after) == new_year
    assert wire.without_year("9999999999", after) is None


def test_a_settlement_day_begins_at_eleven_in_the_evening() -> None:
    assert wire.settlement_day(datetime(2026, 3, 1, 14, 59, 59, tzinfo=UTC)) == "20260301"
    assert wire.settlement_day(datetime(2026, 3, 1, 15, 0, 0, tzinfo=UTC)) == "20260302"
