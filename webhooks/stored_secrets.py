"""Webhook secrets at rest: encrypted under the key ring, each for its own merchant.

A column's text is `encrypted:<key id>:<base64>`. What is encrypted is the secret, and while a
replaced one still signs too, after a blank each: the older secret and when it stops (ISO 8601).
"""

import binascii
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import datetime

from crypto.encryption import DecryptionError, Encrypted, Encryption
from webhooks.signing import UnusableSecretError

_MARK = "encrypted:"


@dataclass(frozen=True)
class Replaced:
    """An older secret that signs as well until a moment, so that the merchant can change over."""

    secret: str
    until: datetime


class StoredSecrets:
    """Encrypts what the database keeps, and decrypts it where a webhook is signed."""

    def __init__(self, encryption: Encryption) -> None:
        self._encryption = encryption

    def encrypt(self, merchant_id: str, secret: str, *, replaced: Replaced | None = None) -> str:
        """Return the text to store."""
        parts = [secret]
        if replaced is not None:
            parts += [replaced.secret, replaced.until.isoformat()]
        text = " ".join(parts).encode()
        found = self._encryption.encrypt(text, context=_context(merchant_id))
        return f"{_MARK}{found.key_id}:{b64encode(found.data).decode()}"

    def decrypt(self, merchant_id: str, stored: str | None) -> str | None:
        """Return the newest secret; one that an earlier release stored in clear as it is.

        Raises UnusableSecretError: another merchant's, altered, or its key is not in the ring.
        """
        return None if stored is None else self._read(merchant_id, stored)[0]

    def all_of(self, merchant_id: str, stored: str | None) -> list[str]:
        """Return every secret that the text holds, expired ones too. Raises as `decrypt` does."""
        if stored is None:
            return []
        newest, replaced = self._read(merchant_id, stored)
        return [newest] if replaced is None else [newest, replaced.secret]

    def signing(self, merchant_id: str, stored: str | None, at: datetime) -> list[str]:
        """Return the secrets that sign at the moment, newest first. Raises as `decrypt` does."""
        if stored is None:
            return []
        newest, replaced = self._read(merchant_id, stored)
        if replaced is None or at >= replaced.until:
            return [newest]
        return [newest, replaced.secret]

    def renewed(self, merchant_id: str, stored: str) -> str | None:
        """Return the same encrypted under the newest key; None where it is. Raises as `decrypt`."""
        if stored.startswith(f"{_MARK}{self._encryption.newest}:"):
            return None
        newest, replaced = self._read(merchant_id, stored)
        return self.encrypt(merchant_id, newest, replaced=replaced)

    def _read(self, merchant_id: str, stored: str) -> tuple[str, Replaced | None]:
        if not stored.startswith(_MARK):
            return stored, None
        key_id, _, data = stored.removeprefix(_MARK).rpartition(":")
        try:
            encrypted = Encrypted(key_id, b64decode(data, validate=True))
            text = self._encryption.decrypt(encrypted, context=_context(merchant_id)).decode()
            secret, *rest = text.split(" ")
            if not rest:
                return secret, None
            older, until = rest
            return secret, Replaced(older, datetime.fromisoformat(until))
        except (DecryptionError, binascii.Error, ValueError) as error:
            raise UnusableSecretError(
                f"the webhook secret of merchant {merchant_id} cannot be decrypted ({error}): put"
                " that key back into PAYSAGA_PAYLOAD_KEYS_FILE, or, if it is lost, give the"
                f" merchant a new secret: `merchants new-secret {merchant_id}`"
            ) from error


def _context(merchant_id: str) -> bytes:
    return f"merchants.webhook_secret\x1f{merchant_id}".encode()
