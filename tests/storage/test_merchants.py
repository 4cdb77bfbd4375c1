from uuid import uuid4

import asyncpg
import pytest

from domain.errors import Conflict, NotFound
from domain.merchant import LatePolicy, Merchant
from storage.database import Database
from storage.keys import ApiKeyStore
from storage.merchants import MerchantStore


@pytest.fixture
def merchants(database: Database) -> MerchantStore:
    return MerchantStore(database)


@pytest.fixture
def keys(database: Database) -> ApiKeyStore:
    return ApiKeyStore(database)


async def test_a_merchant_reads_back_as_it_was_last_written(
    merchants: MerchantStore, merchant: Merchant
) -> None:
    changed = merchant.model_copy(
        update={
            "webhook_url": "https://tea.example/hooks",
            "late_policy": LatePolicy.ACCEPT,
        }
    )

    assert await merchants.get(merchant.id) == merchant
    await merchants.update(changed)
    assert await merchants.get(merchant.id) == changed


async def test_a_merchant_is_made_once(merchants: MerchantStore, merchant: Merchant) -> None:
    with pytest.raises(Conflict) as refused:
        await merchants.create(merchant.model_copy(update={"name": "Another"}))

    assert refused.value.code == "merchant_exists"
    assert await merchants.get(merchant.id) == merchant


async def test_a_merchant_that_is_not_there_is_not_found(merchants: MerchantStore) -> None:
    nobody = Merchant(id=uuid4().hex, name="Nobody")

    assert await merchants.get(nobody.id) is None
    with pytest.raises(NotFound):
        await merchants.update(nobody)


async def test_a_key_opens_its_merchants_door_and_is_nowhere_readable(
    keys: ApiKeyStore, merchant: Merchant, sql: asyncpg.Connection
) -> None:
    key = await keys.create(merchant.id, "backend")

    row = await sql.fetchval(
        "SELECT to_jsonb(k)::text FROM api_keys k WHERE merchant_id = $1", merchant.id
    )
    assert key.startswith("psk_")
    assert len(key) == 47
    assert await keys.authenticate(key) == merchant
    assert key[12:] not in row


@pytest.mark.parametrize("guess", ["", "psk_", "psk_\ud800", "psk_\x00", "é" * 100_000])
async def test_a_guess_opens_nothing(keys: ApiKeyStore, guess: str) -> None:
    assert await keys.authenticate(guess) is None


async def test_the_visible_prefix_alone_opens_nothing(
    keys: ApiKeyStore, merchant: Merchant
) -> None:
    key = await keys.create(merchant.id, "backend")

    assert await keys.authenticate(key[:12]) is None
    assert await keys.authenticate(key + " ") is None


async def test_a_revoked_key_opens_nothing_and_its_sisters_still_do(
    keys: ApiKeyStore, merchant: Merchant
) -> None:
    old, new = [await keys.create(merchant.id, label) for label in ("old", "new")]

    await keys.revoke(old[:12])
    await keys.revoke(old[:12])

    assert await keys.authenticate(old) is None
    assert await keys.authenticate(new) == merchant
    shown = await keys.list_for_merchant(merchant.id)
    assert [(key.prefix, key.label, key.revoked_at is None) for key in shown] == [
        (old[:12], "old", False),
        (new[:12], "new", True),
    ]


async def test_a_key_for_nobody_is_rejected(keys: ApiKeyStore) -> None:
    with pytest.raises(NotFound):
        await keys.create("nobody", "backend")
    with pytest.raises(NotFound):
        await keys.revoke("psk_nothing")
