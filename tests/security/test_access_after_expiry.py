"""A notification that a period has ended may be lost; the clock is not."""

from datetime import timedelta

import pytest

from domain.entitlement import LONGEST_GRACE, EntitlementStatus
from domain.store_change import Change
from tests.domain.purchases import BOUGHT, MONTH, opened, word

EXPIRES = BOUGHT + MONTH
SECOND = timedelta(seconds=1)


def test_a_lost_expiry_does_not_leave_access() -> None:
    found = opened()
    assert found.status is EntitlementStatus.ACTIVE
    assert found.expires_at == EXPIRES
    assert found.has_access_at(EXPIRES - SECOND)
    assert not found.has_access_at(EXPIRES)


@pytest.mark.parametrize("grace", [timedelta(days=3), None])
def test_a_lost_end_of_the_grace_period_does_not_leave_access(grace: timedelta | None) -> None:
    until = EXPIRES + grace if grace else None
    found = opened().apply(word(Change.GRACE, after=MONTH, grace_until=until))
    end = EXPIRES + (grace or LONGEST_GRACE)
    assert found.has_access_at(end - SECOND)
    assert not found.has_access_at(end)


def test_a_renewal_that_arrives_late_gives_access_back() -> None:
    found = opened()
    assert not found.has_access_at(EXPIRES + SECOND)
    renewed = found.apply(word(Change.RENEWED, 1, after=timedelta(days=1)))
    assert renewed.has_access_at(EXPIRES + SECOND)
