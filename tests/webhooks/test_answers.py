import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks.answers import (
    LONGEST_REASON,
    LONGEST_RETRY_AFTER_SECONDS,
    WebhookAnswer,
    read_answer,
    read_retry_after,
)

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_a_veto_is_read_with_its_reason() -> None:
    body = json.dumps({"decision": "refund", "reason": "龙井 is sold out", "more": 1}).encode()

    assert read_answer(200, body) == WebhookAnswer(
        status=200, decision="refund", reason="龙井 is sold out"
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"ok",
        b"success",
        b"[]",
        b"null",
        b'"refund"',
        b'{"decision": "Refund"}',
        b'{"decision": ["refund"]}',
        b'{"decision": null}',
        b'{"decision": "refund"',
        b'{"decision": "refund"} trailing',
        b"\xff\xfe\x00",
        b"[" * 16_000,
        b"9" * 16_000,
    ],
)
def test_anything_else_is_no_veto(body: bytes) -> None:
    assert read_answer(200, body) == WebhookAnswer(status=200)


@given(st.binary())
def test_no_body_breaks_the_reading(body: bytes) -> None:
    assert read_answer(200, body).decision is None


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (None, None),
        (7, None),
        ({"a": 1}, None),
        ("", None),
        ("\x00\n", None),
        ("sold\x00 out\n\u202e", "sold out"),
        ("x" * 10_000, "x" * LONGEST_REASON),
        ("\ud800", None),
    ],
)
def test_a_reason_is_one_printable_line(said: Any, kept: str | None) -> None:
    body = json.dumps({"decision": "refund", "reason": said}).encode()

    assert read_answer(200, body).reason == kept


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("120", 120.0),
        ("99999999999999999999", LONGEST_RETRY_AFTER_SECONDS),
        ("Sun, 22 Nov 2026 12:01:00 GMT", 60.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("Sun, 22 Nov 2026 12:01:00 -0000", 60.0),
        ("Sun, 22 Nov 2099 12:01:00 GMT", LONGEST_RETRY_AFTER_SECONDS),
        ("-5", None),
        ("soon", None),
        ("1e3", None),
        ("١٢", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert read_retry_after(value, NOON) == seconds


@given(st.text())
def test_no_retry_after_breaks_the_reading(value: str) -> None:
    wait = read_retry_after(value, NOON)

    assert wait is None or 0 <= wait <= LONGEST_RETRY_AFTER_SECONDS
