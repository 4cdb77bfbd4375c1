"""How payloads are sealed before they leave for Temporal: AES-256-GCM under a ring of keys.

A sealed payload names its key in clear and authenticates that name, so the newest key can seal
while every older one still opens what it sealed.
"""

import base64
import dataclasses
import os
import secrets
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    PayloadCodec,
)

ENCODING = b"binary/encrypted"
KEY_ID = "encryption-key-id"
KEY_BYTES = 32
NONCE_BYTES = 12


class KeyRingError(ValueError):
    """The key file can't be used: empty, malformed, or a key of the wrong size."""


class SealedPayloadError(ValueError):
    """A sealed payload can't be opened: its key is unknown, or it was altered."""


@dataclasses.dataclass(frozen=True)
class KeyRing:
    """The payload keys: the newest seals, any opens.

    Attributes:
        newest: the id of the key that seals.
        keys: key id to 32 secret bytes.
    """

    newest: str
    keys: Mapping[str, bytes] = dataclasses.field(repr=False)

    def __post_init__(self) -> None:
        if self.newest not in self.keys:
            raise KeyRingError(f"payload key {self.newest!r} is not in the ring")
        for key_id, key in self.keys.items():
            if len(key) != KEY_BYTES:
                raise KeyRingError(f"payload key {key_id!r} has {len(key)} bytes, not {KEY_BYTES}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read TOML: `current = "k1"` and `[keys]` with one `k1 = "<base64 of 32 bytes>"` each.

        Raises:
            KeyRingError: the text isn't that; its message never quotes a key.
        """
        try:
            document = tomllib.loads(text)
            newest, encoded = str(document["current"]), document["keys"]
            keys = {name: base64.b64decode(key, validate=True) for name, key in encoded.items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            form = 'current = "k1" and [keys] k1 = "<base64>"'
            raise KeyRingError(f"payload keys: want {form}") from error
        return cls(newest=newest, keys=keys)

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read the ring from a file as `parse` describes it."""
        return cls.parse(path.read_text())


def new_key_file() -> str:
    """Make the text of a key file with one fresh key."""
    key = base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
    return f'current = "k1"\n\n[keys]\nk1 = "{key}"\n'


class PayloadEncryption(PayloadCodec):
    """Seals every payload that goes to Temporal and opens those that it sealed."""

    def __init__(self, ring: KeyRing) -> None:
        self._newest = ring.newest
        self._ciphers = {key_id: AESGCM(key) for key_id, key in ring.keys.items()}

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Seal each payload, its metadata included, under the newest key."""
        return [self._seal(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Open what was sealed; anything in another encoding passes through unchanged.

        Raises:
            SealedPayloadError: the key is unknown or the payload was altered.
        """
        return [self._open(payload) for payload in payloads]

    def _seal(self, payload: Payload) -> Payload:
        key_id = self._newest.encode()
        nonce = os.urandom(NONCE_BYTES)
        cipher = self._ciphers[self._newest]
        sealed = nonce + cipher.encrypt(nonce, payload.SerializeToString(), key_id)
        return Payload(metadata={"encoding": ENCODING, KEY_ID: key_id}, data=sealed)

    def _open(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        key_id = payload.metadata.get(KEY_ID, b"")
        cipher = self._ciphers.get(key_id.decode(errors="replace"))
        if cipher is None:
            raise SealedPayloadError(f"no payload key {key_id!r} in the ring")
        nonce, sealed = payload.data[:NONCE_BYTES], payload.data[NONCE_BYTES:]
        try:
            return Payload.FromString(cipher.decrypt(nonce, sealed, key_id))
        except (InvalidTag, ValueError) as error:
            raise SealedPayloadError(f"payload under key {key_id!r} was altered") from error


def data_converter(ring: KeyRing) -> DataConverter:
    """Pydantic models in, sealed payloads out; error messages and stack traces are sealed too."""
    return dataclasses.replace(
        pydantic_data_converter,
        payload_codec=PayloadEncryption(ring),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )
