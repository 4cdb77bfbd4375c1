"""How payloads are sealed before they leave for Temporal: AES-256-GCM under a ring of keys.

A sealed payload names its key in clear and authenticates that name, so the newest key can seal
while every older one still opens what it sealed.
"""

import dataclasses
from collections.abc import Sequence

from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    PayloadCodec,
)

from crypto.encryption import DecryptionError, Encrypted, Encryption
from crypto.key_ring import KeyRing

ENCODING = b"binary/encrypted"
KEY_ID = "encryption-key-id"


class SealedPayloadError(ValueError):
    """A sealed payload can't be opened: its key is unknown, or it was altered."""


class PayloadEncryption(PayloadCodec):
    """Seals every payload that goes to Temporal and opens those that it sealed."""

    def __init__(self, ring: KeyRing) -> None:
        self._encryption = Encryption(ring)

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
        sealed = self._encryption.encrypt(payload.SerializeToString())
        return Payload(
            metadata={"encoding": ENCODING, KEY_ID: sealed.key_id.encode()}, data=sealed.data
        )

    def _open(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        key_id = payload.metadata.get(KEY_ID, b"").decode(errors="replace")
        try:
            return Payload.FromString(self._encryption.decrypt(Encrypted(key_id, payload.data)))
        except (DecryptionError, DecodeError) as error:
            raise SealedPayloadError(str(error)) from error


def data_converter(ring: KeyRing) -> DataConverter:
    """Pydantic models in, sealed payloads out; error messages and stack traces are sealed too."""
    return dataclasses.replace(
        pydantic_data_converter,
        payload_codec=PayloadEncryption(ring),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )
