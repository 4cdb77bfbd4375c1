"""Authenticated encryption (AES-256-GCM) under the key ring."""

import dataclasses
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crypto.key_ring import KeyRing

NONCE_BYTES = 12


class DecryptionError(ValueError):
    """The data can't be decrypted: the key is unknown, or data or context were altered."""


@dataclasses.dataclass(frozen=True)
class Encrypted:
    """Encrypted data and the id of its key; `data` is the nonce, the ciphertext and the tag."""

    key_id: str
    data: bytes


class Encryption:
    """Encrypts under the newest key of a ring (`newest` is its id); decrypts under any."""

    def __init__(self, ring: KeyRing) -> None:
        self.newest = ring.newest
        self._ciphers = {key_id: AESGCM(key) for key_id, key in ring.keys.items()}

    def encrypt(self, plaintext: bytes, *, context: bytes = b"") -> Encrypted:
        """Encrypt. The same `context` must be given to decrypt; it is authenticated, not stored."""
        nonce = os.urandom(NONCE_BYTES)
        bound = _authenticated(self.newest, context)
        cipher = self._ciphers[self.newest]
        return Encrypted(self.newest, nonce + cipher.encrypt(nonce, plaintext, bound))

    def decrypt(self, encrypted: Encrypted, *, context: bytes = b"") -> bytes:
        """Return the plaintext.

        Raises:
            DecryptionError: the key is unknown, or data or context are not what was encrypted.
        """
        cipher = self._ciphers.get(encrypted.key_id)
        if cipher is None:
            raise DecryptionError(f"no payload key {encrypted.key_id!r} in the ring")
        nonce, ciphertext = encrypted.data[:NONCE_BYTES], encrypted.data[NONCE_BYTES:]
        try:
            return cipher.decrypt(nonce, ciphertext, _authenticated(encrypted.key_id, context))
        except (InvalidTag, ValueError) as error:
            raise DecryptionError(f"data under key {encrypted.key_id!r} were altered") from error


def _authenticated(key_id: str, context: bytes) -> bytes:
    # The length keeps a key's name and a context from being read as another pair.
    name = key_id.encode()
    return name if not context else len(name).to_bytes(2) + name + context
