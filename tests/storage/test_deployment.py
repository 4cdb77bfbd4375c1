import pytest

from domain.alarm import Alarm, AlarmKind
from domain.identity import IdentityKey, new_identity_key
from storage.alarms import AlarmStore
from storage.database import Database
from storage.deployment import DeploymentStore, IdentityKeyMismatch
from storage.migrate import upgrade


async def test_a_database_stays_with_its_identity_key_until_it_is_replaced(empty_url: str) -> None:
    await upgrade(empty_url)
    first, second = (IdentityKey.parse(new_identity_key()) for _ in range(2))
    database = Database(empty_url)
    try:
        for _ in range(2):
            await DeploymentStore(database).verify(first)
        with pytest.raises(IdentityKeyMismatch, match="PAYSAGA_IDENTITY_KEY_FILE"):
            await DeploymentStore(database).verify(second)

        await DeploymentStore(database).replace(second)

        await DeploymentStore(database).verify(second)
        with pytest.raises(IdentityKeyMismatch):
            await DeploymentStore(database).verify(first)
    finally:
        await database.close()


async def test_an_alarm_is_one_row_a_day_and_logged_once(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    alarms = AlarmStore(database)
    subject = f"alipay/{new_identity_key()[:8]}"
    alarm = Alarm(kind=AlarmKind.FOREIGN_NOTIFICATION, subject=subject, detail="names another app")

    counts = [await alarms.raise_alarm(alarm) for _ in range(3)]

    [raised] = [each for each in await alarms.list_newest() if each.subject == subject]
    assert (counts, raised.count) == ([1, 2, 3], 3)
    assert (raised.kind, raised.detail) == (alarm.kind, alarm.detail)
    assert raised.first_at < raised.last_at
    assert sum(subject in record.getMessage() for record in caplog.records) == 1
