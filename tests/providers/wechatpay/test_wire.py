import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.wechatpay.wire import Envelope, Malformed, Refusal, Transaction, read

GOOD = '{"out_trade_no":"n1","trade_state":"SUCCESS"'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"not json",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"code":' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"code":"A","code":"B"}',
        b'{"code":"A","detail":{"x":1,"x":2}}',
        b'{"code":7}',
        b'{"message":"no code"}',
        b'{"code":NaN}',
        b'{"code":"A","detail":"' + b"x" * 300_000 + b'"}',
    ],
)
def test_whatever_is_not_the_documented_message_is_malformed_and_no_crash(body: bytes) -> None:
    with pytest.raises(Malformed):
        read(Refusal, body)


@pytest.mark.parametrize("amount", ['{"total":19.99}', '{"total":"1999"}', '{"total":true}', "[]"])
def test_an_amount_is_whole_fen_or_malformed(amount: str) -> None:
    with pytest.raises(Malformed, match="amount"):
        read(Transaction, f'{GOOD},"amount":{amount}}}'.encode())


def test_what_is_malformed_is_named_but_not_quoted() -> None:
    with pytest.raises(Malformed) as caught:
        read(Transaction, f'{GOOD},"transaction_id":4200001234}}'.encode())
    assert "transaction_id" in str(caught.value)
    assert "4200001234" not in str(caught.value)


@pytest.mark.parametrize("time", ['""', "null", "7", '"yesterday"', '"2026-11-22T16:00:00"'])
def test_an_unreadable_time_does_not_hide_a_success(time: str) -> None:
    transaction = read(Transaction, f'{GOOD},"success_time":{time}}}'.encode())
    assert (transaction.trade_state, transaction.success_time) == ("SUCCESS", None)


def test_a_time_keeps_its_instant() -> None:
    body = f'{GOOD},"success_time":"2018-06-08T10:34:56+08:00"}}'
    expected = datetime(2018, 6, 8, 2, 34, 56, tzinfo=UTC)
    assert read(Transaction, body.encode()).success_time == expected


def test_fields_that_nobody_has_known_are_ignored() -> None:
    body = f'{GOOD},"promotion_detail":[{{"amount":100}}],"brand_new":{{}}}}'
    assert read(Transaction, body.encode()).out_trade_no == "n1"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "event_type", "resource", "out_trade_no", "trade_state", "amount"]
            ),
            inner,
        )
    ),
    max_leaves=12,
)


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
@pytest.mark.parametrize("model", [Envelope, Transaction])
def test_any_bytes_are_the_message_or_malformed_and_nothing_else(
    model: type[Envelope] | type[Transaction], body: bytes
) -> None:
    try:
        read(model, body)
    except Malformed as error:
        assert str(error)  # noqa: PT017 - either way out is right, any other is not
