"""What is read by those who have the database, or a backup of it, and no key file."""

import logging
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest

from crypto.encryption import Encryption
from crypto.key_ring import KeyRing
from domain.merchant import Merchant
from engine.webhook_secrets import renew_at_start, renew_webhook_secrets
from storage.database import Database
from storage.merchants import MerchantStore
from tests.storage.raw import refused
from webhooks.signing import UnusableSecretError, new_secret
from webhooks.stored_secrets import Replaced, StoredSecrets

CHECK = "merchants_webhook_secret_encrypted"
OLD, NEW = bytes(range(32)), bytes(range(32, 64))


def secrets(newest: str, **keys: bytes) -> StoredSecrets:
    return StoredSecrets(Encryption(KeyRing(newest=newest, keys=keys)))


def test_a_webhook_secret_is_not_stored_in_clear() -> None:
    secret, merchant = new_secret(), f"m-{uuid4().hex}"
    stored = secrets("k1", k1=OLD).encrypt(merchant, secret)
    assert secret not in stored
    assert secret.removeprefix("whsec_") not in stored
    assert secrets("k1", k1=OLD).decrypt(merchant, stored) == secret


def test_one_merchants_secret_does_not_sign_for_another() -> None:
    stored = secrets("k1", k1=OLD).encrypt("tea", new_secret())
    with pytest.raises(UnusableSecretError):
        secrets("k1", k1=OLD).decrypt("coffee", stored)


def test_a_secret_outlives_the_rotation_of_its_key_and_not_its_loss() -> None:
    secret = new_secret()
    stored = secrets("k1", k1=OLD).encrypt("tea", secret)
    assert secrets("k2", k1=OLD, k2=NEW).decrypt("tea", stored) == secret
    with pytest.raises(UnusableSecretError, match="k1"):
        secrets("k2", k2=NEW).decrypt("tea", stored)


@pytest.mark.parametrize("damage", ["", "k1", "k1:!", "k1:AAAA", "k1:AAAA:AAAA"])
def test_a_damaged_secret_signs_nothing(damage: str) -> None:
    with pytest.raises(UnusableSecretError):
        secrets("k1", k1=OLD).decrypt("tea", f"encrypted:{damage}")


def test_what_an_earlier_release_stored_in_clear_still_signs() -> None:
    secret = new_secret()
    assert secrets("k1", k1=OLD).decrypt("tea", secret) == secret
    assert secrets("k1", k1=OLD).decrypt("tea", None) is None


def test_a_replaced_secret_does_not_sign_for_ever() -> None:
    new, older, now = new_secret(), new_secret(), datetime.now(UTC)
    end = now + timedelta(hours=24)
    before = secrets("k1", k1=OLD)
    stored = before.encrypt("tea", new, replaced=Replaced(older, end))
    renewed = secrets("k2", k1=OLD, k2=NEW).renewed("tea", stored)
    assert renewed is not None

    for text, ring in ((stored, before), (renewed, secrets("k2", k2=NEW))):
        assert older not in text
        assert ring.decrypt("tea", text) == new
        assert ring.signing("tea", text, end - timedelta(seconds=1)) == [new, older]
        assert ring.signing("tea", text, end) == [new]
        assert ring.all_of("tea", text) == [new, older]


@pytest.fixture
async def stored(database: Database, merchant: Merchant) -> tuple[str, str]:
    """A merchant's secret, and its column's text under the old key."""
    secret = new_secret()
    text = secrets("k1", k1=OLD).encrypt(merchant.id, secret)
    assert await MerchantStore(database).replace_secret(merchant, text)
    return secret, text


async def column(database: Database, merchant: Merchant) -> str:
    found = await MerchantStore(database).get(merchant.id)
    assert found is not None
    return str(found.webhook_secret)


async def test_the_database_takes_no_secret_in_clear(
    sql: asyncpg.Connection, database: Database, merchant: Merchant, stored: tuple[str, str]
) -> None:
    secret, text = stored
    with refused(CHECK):
        await sql.execute(
            "UPDATE merchants SET webhook_secret = $1 WHERE id = $2", secret, merchant.id
        )
    with refused(CHECK):
        await sql.execute(
            "INSERT INTO merchants (id, name, webhook_secret, late_policy)"
            " VALUES ($1, 'Tea', $2, 'refund')",
            uuid4().hex,
            secret,
        )
    assert await column(database, merchant) == text


async def test_no_secret_stays_under_an_old_key_or_in_clear_after_a_start(
    sql: asyncpg.Connection,
    database: Database,
    merchant: Merchant,
    stored: tuple[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    both = secrets("k2", k1=OLD, k2=NEW)
    in_clear, of_an_earlier_release = f"m-{uuid4().hex}", new_secret()
    await sql.execute(f"ALTER TABLE merchants DROP CONSTRAINT {CHECK}")
    try:
        await sql.execute(
            "INSERT INTO merchants (id, name, webhook_secret, late_policy)"
            " VALUES ($1, 'Tea', $2, 'refund')",
            in_clear,
            of_an_earlier_release,
        )
    finally:
        # As the migration leaves a table with such rows.
        await sql.execute(
            f"ALTER TABLE merchants ADD CONSTRAINT {CHECK}"
            " CHECK (webhook_secret LIKE 'encrypted:%') NOT VALID"
        )

    with caplog.at_level(logging.INFO):
        await renew_at_start(database, both)

    renewed = await column(database, merchant)
    assert renewed.startswith("encrypted:k2:")
    assert secrets("k2", k2=NEW).decrypt(merchant.id, renewed) == stored[0]
    other = await MerchantStore(database).get(in_clear)
    assert other is not None
    assert both.decrypt(in_clear, other.webhook_secret) == of_an_earlier_release
    assert str(other.webhook_secret).startswith("encrypted:k2:")
    await sql.execute(f"ALTER TABLE merchants VALIDATE CONSTRAINT {CHECK}")
    await renew_at_start(database, both)
    assert await column(database, merchant) == renewed
    for secret in (stored[0], of_an_earlier_release):
        assert secret not in caplog.text


async def test_a_lost_key_stops_no_other_merchants_secret(
    database: Database,
    merchant: Merchant,
    stored: tuple[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    other = Merchant(id=f"m-{uuid4().hex}", name="Tea")
    await MerchantStore(database).create(other)
    known = secrets("k3", k3=OLD).encrypt(other.id, new_secret())
    await MerchantStore(database).replace_secret(other, known)
    third = Merchant(id=f"m-{uuid4().hex}", name="Tea")
    await MerchantStore(database).create(third)
    lost = secrets("k9", k9=OLD).encrypt(third.id, new_secret())
    await MerchantStore(database).replace_secret(third, lost)

    found = await renew_webhook_secrets(database, secrets("k4", k3=OLD, k4=NEW))

    assert merchant.id in found.unreadable
    assert other.id not in found.unreadable
    [line] = [record for record in caplog.records if record.name == "engine.webhook_secrets"]
    assert merchant.id in line.getMessage()
    assert third.id in line.getMessage()
    assert (await column(database, other)).startswith("encrypted:k4:")
    assert await column(database, merchant) == stored[1]
    with pytest.raises(UnusableSecretError, match=r"'k1'.*PAYLOAD_KEYS_FILE.*new-secret"):
        secrets("k3", k3=OLD).decrypt(merchant.id, stored[1])


async def test_a_secret_that_was_replaced_meanwhile_is_not_put_back(
    database: Database, merchant: Merchant, stored: tuple[str, str]
) -> None:
    merchants = MerchantStore(database)
    before = await merchants.get(merchant.id)
    assert before is not None
    newer = secrets("k1", k1=OLD).encrypt(merchant.id, new_secret())
    assert await merchants.replace_secret(before, newer)

    assert not await merchants.replace_secret(before, stored[1])
    await merchants.update(before.model_copy(update={"name": "Tea and more"}))

    assert await column(database, merchant) == newer
