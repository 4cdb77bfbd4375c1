"""The payload codec: AES-256-GCM under the key ring, each payload bound to one workflow.

`bound-to` says in clear, authenticated, what a payload may be used for:

    w:<namespace>/<workflow id>                  input or result of that workflow
    a:<namespace>/<workflow id>/<activity type>  input, result or failure of its activities
    o:<namespace>/<workflow id>/<Unix seconds>   entered by an operator for that workflow
    o:<namespace>//<Unix seconds>                the same for a workflow that is not known
    (empty)                                      encoded without a context: only ever displayed

What can't be decrypted, or is bound to something else, is replaced by a *rejected* payload: only
where it is used is it known what must fail (`engine.guard`).
"""

import copy
import hashlib
import hmac
import re
import time
from collections.abc import Sequence
from typing import Self

from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    ActivitySerializationContext,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)

from crypto.encryption import DecryptionError, Encrypted, Encryption
from crypto.key_ring import KeyRing

ENCODING = b"binary/encrypted"
REJECTED = b"binary/rejected"
KEY_ID = "encryption-key-id"
KEY_PROOF = "encryption-key-proof"
BOUND_TO = "bound-to"
# On a decrypted payload: when an operator entered it, Unix seconds.
ENTERED_AT = "entered-at"

_PROOF_BYTES = 16
# What a Schedule appends to the workflow id that its arguments were encoded for.
_SCHEDULED_TIME = re.compile(r"-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")


class PayloadDecryptionError(ValueError):
    """A payload can't be decrypted here, and retrying elsewhere or later can help."""


class _RejectionError(Exception):
    """A payload that no configuration of ours would accept; the message says why."""


class PayloadEncryption(PayloadCodec, WithSerializationContext):
    """Encrypts every payload that goes to Temporal and accepts no other in return."""

    def __init__(
        self,
        ring: KeyRing,
        *,
        context: SerializationContext | None = None,
        accept_unencrypted: bool = False,
    ) -> None:
        """Create the codec.

        Args:
            ring: the keys.
            context: what payloads are bound to; None decrypts any and binds to nothing.
            accept_unencrypted: for tests and for recorded histories; never in a deployment.
        """
        self._ring = ring
        self._encryption = Encryption(ring)
        self._accept_unencrypted = accept_unencrypted
        self._proof = b"".join(
            _proof(key, ring.newest) for name, key in ring.keys.items() if name != ring.newest
        )
        self._bind(context)

    def with_context(self, context: SerializationContext) -> Self:
        """Return the codec of one workflow or activity; what it binds is in the module's text."""
        bound = copy.copy(self)
        bound._bind(context)  # noqa: SLF001 - its own kind
        return bound

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypt each payload, its metadata included, under the newest key."""
        return [self._encrypt(payload, self._binding) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypt each payload; one that is not ours, or not for here, becomes a rejected one.

        Raises:
            PayloadDecryptionError: the payload is ours, but this process can't use it: it lacks
                the key, or the payload is from a build that did not bind payloads.
        """
        return [self._decrypt_or_reject(payload) for payload in payloads]

    def encode_for_operator(
        self, payloads: Sequence[Payload], namespace: str, workflow_id: str = ""
    ) -> list[Payload]:
        """Encrypt what an operator entered, for the workflow if it is known.

        The guard accepts it as an update's argument, for `engine.guard.ENTRY_VALID`.
        """
        binding = f"o:{namespace}/{workflow_id}/{int(time.time())}"
        return [self._encrypt(payload, binding) for payload in payloads]

    def decode_for_display(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypt whatever it is bound to; what isn't encrypted is returned unchanged.

        Raises:
            PayloadDecryptionError: a payload claims to be encrypted and can't be decrypted.
        """
        return [
            self._display(payload) if payload.metadata.get("encoding") == ENCODING else payload
            for payload in payloads
        ]

    def _bind(self, context: SerializationContext | None) -> None:
        self._context = context
        self._binding = _binding(context)

    def _encrypt(self, payload: Payload, binding: str) -> Payload:
        found = self._encryption.encrypt(payload.SerializeToString(), context=_bound(binding))
        metadata = {
            "encoding": ENCODING,
            KEY_ID: found.key_id.encode(),
            BOUND_TO: binding.encode(),
        }
        if self._proof:
            metadata[KEY_PROOF] = self._proof
        return Payload(metadata=metadata, data=found.data)

    def _decrypt_or_reject(self, payload: Payload) -> Payload:
        if self._accept_unencrypted and payload.metadata.get("encoding") != ENCODING:
            return payload
        try:
            return self._decrypt(payload)
        except _RejectionError as error:
            return Payload(metadata={"encoding": REJECTED}, data=str(error).encode())

    def _decrypt(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            raise _RejectionError("it is not encrypted")
        binding = _text(payload, BOUND_TO)
        plain = self._opened(payload)
        if BOUND_TO not in payload.metadata:
            raise PayloadDecryptionError(
                "a payload of a build that did not bind payloads to workflows: go back to that "
                "build until its workflows have ended"
            )
        if self._context is None or binding == self._binding:
            return plain
        if isinstance(self._context, WorkflowSerializationContext):
            if binding == _SCHEDULED_TIME.sub("", self._binding):
                return plain
            target, _, entered = binding.rpartition("/")
            known = f"o:{self._context.namespace}/{self._context.workflow_id}"
            if target in (known, f"o:{self._context.namespace}/"):
                plain.metadata[ENTERED_AT] = entered.encode()
                return plain
        raise _RejectionError(f"it is bound to {binding or 'nothing'!r}, not {self._binding!r}")

    def _opened(self, payload: Payload) -> Payload:
        """Decrypt, whatever it is bound to."""
        key_id = _text(payload, KEY_ID)
        if key_id not in self._ring.keys:
            if self._is_proven(key_id, payload.metadata.get(KEY_PROOF, b"")):
                raise PayloadDecryptionError(f"no payload key {key_id!r} in the ring")
            raise _RejectionError(f"it names a key {key_id!r} that is not in the ring")
        bound = payload.metadata.get(BOUND_TO)
        context = b"" if bound is None else _bound(_text(payload, BOUND_TO))
        try:
            found = self._encryption.decrypt(Encrypted(key_id, payload.data), context=context)
            return Payload.FromString(found)
        except (DecryptionError, DecodeError) as error:
            raise _RejectionError(str(error)) from error

    def _display(self, payload: Payload) -> Payload:
        try:
            return self._opened(payload)
        except _RejectionError as error:
            raise PayloadDecryptionError(str(error)) from error

    def _is_proven(self, key_id: str, proofs: bytes) -> bool:
        """Whether one of our keys says that an unknown one is ours too: a rotation is under way."""
        given = [proofs[at : at + _PROOF_BYTES] for at in range(0, len(proofs), _PROOF_BYTES)]
        return any(
            hmac.compare_digest(_proof(key, key_id), proof)
            for key in self._ring.keys.values()
            for proof in given
        )


def _binding(context: SerializationContext | None) -> str:
    match context:
        case WorkflowSerializationContext():
            return f"w:{context.namespace}/{context.workflow_id}"
        case ActivitySerializationContext():
            return f"a:{context.namespace}/{context.workflow_id}/{context.activity_type}"
        case _:
            return ""


def _bound(binding: str) -> bytes:
    return f"{BOUND_TO} {binding}".encode()


def _proof(key: bytes, key_id: str) -> bytes:
    digest = hmac.digest(key, f"{KEY_PROOF} {key_id}".encode(), hashlib.sha256)
    return digest[:_PROOF_BYTES]


def _text(payload: Payload, name: str) -> str:
    return payload.metadata.get(name, b"").decode(errors="replace")
