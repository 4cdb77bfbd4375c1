"""What somebody reads who has the database, or a backup of it, and no key file."""

from uuid import uuid4

import pytest

from crypto.encryption import Encryption
from crypto.key_ring import KeyRing
from webhooks.signing import UnusableSecretError, new_secret
from webhooks.stored_secrets import StoredSecrets

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
