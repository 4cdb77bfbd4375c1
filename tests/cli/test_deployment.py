from pathlib import Path
from uuid import uuid4

import pytest

from domain.alarm import Alarm, AlarmKind
from domain.identity import IdentityKey, new_identity_key
from storage.alarms import AlarmStore
from storage.database import Database
from storage.deployment import DeploymentStore
from tests.cli.conftest import Invoke

pytestmark = pytest.mark.stack


async def test_alarms_are_listed_with_their_counts(paysaga: Invoke, database: Database) -> None:
    subject = f"alipay/{uuid4().hex[:6]}"
    alarm = Alarm(kind=AlarmKind.FOREIGN_NOTIFICATION, subject=subject, detail="[b]another[/b]")
    for _ in range(2):
        await AlarmStore(database).raise_alarm(alarm)

    listed = (await paysaga("alarms")).stdout

    assert subject in listed
    assert "foreign_notification" in listed


async def test_a_lost_identity_key_is_replaced(
    paysaga: Invoke, database: Database, tmp_path: Path
) -> None:
    new = tmp_path / "identity-key"
    new.write_text(new_identity_key())

    assert (await paysaga("replace-identity-key", str(new))).exit_code == 0

    await DeploymentStore(database).verify(IdentityKey.parse(new.read_text()))


@pytest.mark.parametrize("content", [None, "too short"])
async def test_a_bad_identity_key_replaces_nothing(
    paysaga: Invoke, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "identity-key"
    if content is not None:
        path.write_text(content)

    result = await paysaga("replace-identity-key", str(path))

    assert result.exit_code == 2
    assert "Not replaced" in result.stderr
