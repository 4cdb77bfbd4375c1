"""Webhook secrets at rest: encrypted under the key ring, each for its own merchant."""

import binascii
from base64 import b64decode, b64encode

from crypto.encryption import DecryptionError, Encrypted, Encryption
from webhooks.signing import UnusableSecretError

_MARK = "encrypted"
_SEPARATOR = ":"


class StoredSecrets:
    """Encrypts what the database keeps, and decrypts it where a webhook is signed."""

    def __init__(self, encryption: Encryption) -> None:
        self._encryption = encryption

    def encrypt(self, merchant_id: str, secret: str) -> str:
        """Return the text to store: `encrypted:<key id>:<base64>`."""
        found = self._encryption.encrypt(secret.encode(), context=_context(merchant_id))
        return _SEPARATOR.join((_MARK, found.key_id, b64encode(found.data).decode()))

    def decrypt(self, merchant_id: str, stored: str | None) -> str | None:
        """Return the secret; what an earlier release stored in clear is returned as it is.

        Raises UnusableSecretError: another merchant's, altered, or its key is not in the ring.
        """
        if stored is None or not stored.startswith(_MARK + _SEPARATOR):
            return stored
        try:
            _, key_id, data = stored.split(_SEPARATOR)
            encrypted = Encrypted(key_id, b64decode(data, validate=True))
            return self._encryption.decrypt(encrypted, context=_context(merchant_id)).decode()
        except (DecryptionError, binascii.Error, ValueError) as error:
            why = f"the merchant's webhook secret cannot be decrypted ({error})"
            raise UnusableSecretError(why) from error


def _context(merchant_id: str) -> bytes:
    return f"merchants.webhook_secret\x1f{merchant_id}".encode()
