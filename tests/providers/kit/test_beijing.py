"""Beijing time at its edges."""

from datetime import UTC, datetime

import pytest

from providers.kit.beijing import in_beijing, parse_beijing

FORM = "%Y-%m-%d %H:%M:%S"


def test_a_moment_is_eight_hours_later_in_beijing() -> None:
    assert f"{in_beijing(datetime(2026, 2, 28, 16, tzinfo=UTC)):{FORM}}" == "2026-03-01 00:00:00"
    assert parse_beijing("2026-03-01 00:00:00", FORM) == datetime(2026, 2, 28, 16, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "2026-02-30 00:00:00", "2026-02-28", "0001-01-01 07:59:59"])
def test_what_is_no_moment_in_utc_is_none(text: str) -> None:
    assert parse_beijing(text, FORM) is None
