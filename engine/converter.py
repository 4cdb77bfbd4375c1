"""The data converter: Pydantic models in, encrypted payloads out, failures included.

Temporal leaves an application failure's type and `non_retryable` in clear, and workflows decide by
them whether a provider rejected an order. Both are repeated in the encrypted attributes here, and
a failure whose clear fields say something else counts as one of unknown cause.
"""

import copy
from collections.abc import Sequence
from typing import Any, Self

from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.failure.v1 import Failure
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverter,
    DefaultFailureConverterWithEncodedAttributes,
    EncodingPayloadConverter,
    PayloadCodec,
    PayloadConverter,
    SerializationContext,
    WithSerializationContext,
)
from temporalio.exceptions import ApplicationError

from crypto.key_ring import KeyRing
from engine.encryption import REJECTED, PayloadEncryption

PAYLOAD_REJECTED = "payload_rejected"
_ENCODED = "Encoded failure"


class _RejectedConverter(EncodingPayloadConverter):
    """Refuses what the codec has rejected: the call that the payload belongs to fails."""

    @property
    def encoding(self) -> str:
        return REJECTED.decode()

    def to_payload(self, value: Any) -> Payload | None:
        del value
        return None

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        del type_hint
        raise ApplicationError(
            f"payload rejected: {payload.data.decode(errors='replace')}",
            type=PAYLOAD_REJECTED,
            non_retryable=True,
        )


# One set for all converters: the SDK makes a converter for each activation.
_CONVERTERS = (*PydanticPayloadConverter().converters.values(), _RejectedConverter())


class EncryptedPayloadConverter(CompositePayloadConverter):
    """Pydantic's converter, which refuses rejected payloads with `PAYLOAD_REJECTED`."""

    def __init__(self) -> None:
        super().__init__(*_CONVERTERS)


class AuthenticatedFailureConverter(DefaultFailureConverter):
    """Encrypts a failure's message and stack trace, and authenticates its type."""

    def to_failure(
        self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        """Convert the exception; its message and stack trace go into the encoded attributes."""
        super().to_failure(exception, payload_converter, failure)
        attributes = {"message": failure.message, "stack_trace": failure.stack_trace}
        attributes |= _decisive(failure)
        [encoded] = payload_converter.to_payloads([attributes])
        failure.encoded_attributes.CopyFrom(encoded)
        failure.message, failure.stack_trace = _ENCODED, ""

    def from_failure(self, failure: Failure, payload_converter: PayloadConverter) -> BaseException:
        """Convert the failure; an application failure that isn't ours loses all that it says.

        Timeouts, cancellations and the like are made by the server and carry nothing of ours.
        """
        if not _is_authentic(failure, payload_converter):
            found = Failure(message="a failure that no activity or workflow of ours has made")
            found.application_failure_info.type = PAYLOAD_REJECTED
            return super().from_failure(found, payload_converter)
        if _holds_rejected(_details(failure)):
            failure = copy.deepcopy(failure)
            del _details(failure).payloads[:]
        return super().from_failure(failure, payload_converter)


class EncryptedDataConverter(DataConverter):
    """A data converter without external storage: nothing is ever read from elsewhere.

    The SDK ends a workflow task with an error where a payload refers to an external storage that
    isn't configured. Here such a reference is a payload like any other, and not encrypted.
    """

    def with_context(self, context: SerializationContext) -> Self:
        """Return the converter of one workflow or activity."""
        # The SDK's own makes a new converter of each kind; this is called for every activation.
        bound = copy.copy(self)
        if isinstance(self.payload_codec, WithSerializationContext):
            object.__setattr__(bound, "payload_codec", self.payload_codec.with_context(context))
        return bound

    async def _decode_reference_payload_sequence(
        self, payloads: Sequence[Payload]
    ) -> list[Payload]:
        return payloads  # type: ignore[return-value] # the visitor compares by identity

    async def _external_retrieve_payload_sequence(
        self, payloads: Sequence[Payload]
    ) -> list[Payload]:
        return payloads  # type: ignore[return-value] # as above

    async def _transform_inbound_payload(self, payload: Payload) -> Payload:
        [decoded] = await self._decode_payload_sequence([payload])
        return decoded

    async def _transform_inbound_payloads(self, payloads: Payloads) -> None:
        decoded = await self._decode_payload_sequence(payloads.payloads)
        del payloads.payloads[:]
        payloads.payloads.extend(decoded)


def data_converter(ring: KeyRing, *, accept_unencrypted: bool = False) -> DataConverter:
    """Pydantic models in, encrypted payloads out; no payload of anyone else is accepted.

    `accept_unencrypted` is for tests and for histories that tests recorded.
    """
    codec: PayloadCodec = PayloadEncryption(ring, accept_unencrypted=accept_unencrypted)
    return EncryptedDataConverter(
        payload_converter_class=EncryptedPayloadConverter,
        payload_codec=codec,
        failure_converter_class=(
            DefaultFailureConverterWithEncodedAttributes
            if accept_unencrypted
            else AuthenticatedFailureConverter
        ),
    )


def _decisive(failure: Failure) -> dict[str, Any]:
    """What a workflow decides by."""
    if not failure.HasField("application_failure_info"):
        return {}
    info = failure.application_failure_info
    return {"type": info.type, "non_retryable": info.non_retryable}


def _is_authentic(failure: Failure, payload_converter: PayloadConverter) -> bool:
    if not failure.HasField("application_failure_info"):
        return True
    if not failure.HasField("encoded_attributes") or _holds_rejected(
        Payloads(payloads=[failure.encoded_attributes])
    ):
        return False
    [said] = payload_converter.from_payloads([failure.encoded_attributes])
    decisive = _decisive(failure)
    return (
        isinstance(said, dict)
        and {name: said.get(name) for name in decisive} == decisive
        and not _holds_rejected(failure.application_failure_info.details)
    )


def _details(failure: Failure) -> Payloads:
    """What the SDK converts of a failure that the server may have made."""
    match failure.WhichOneof("failure_info"):
        case "timeout_failure_info":
            return failure.timeout_failure_info.last_heartbeat_details
        case "canceled_failure_info":
            return failure.canceled_failure_info.details
        case _:
            return Payloads()


def _holds_rejected(payloads: Payloads) -> bool:
    return any(payload.metadata.get("encoding") == REJECTED for payload in payloads.payloads)
