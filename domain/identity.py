"""One id everywhere: derived from the request, so that the same request is the same payment.

As 32 hex characters (`reference`) the id is our order number at the provider and part of the
workflow's id, so a notification finds its workflow with no look-up. A payment's id is derived with
a secret key: who knows the source, a merchant's name and its order numbers still cannot compute it
(ADR 20).
"""

import base64
import binascii
import hmac
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Self
from uuid import UUID, uuid5

IDENTITY_KEY_BYTES = 32
# Ids of what belongs to a payment or refund are derived from its id, which needs no second secret.
# Fixed for ever: changing it would give every repeated step a new event or refund.
_NAMESPACE = UUID("5f1d7b52-3c0e-4c7e-9f0a-6b1f0c2d9a11")
_SEPARATOR = "\x1f"


class IdentityKeyError(ValueError):
    """The identity key can't be used: it is no base64 of 32 bytes."""


@dataclass(frozen=True)
class IdentityKey:
    """The deployment's secret that ids of payments and refunds are derived with.

    Attributes:
        secret: 32 bytes; the same for as long as the database lives.
    """

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != IDENTITY_KEY_BYTES:
            raise IdentityKeyError(
                f"the identity key has {len(self.secret)} bytes, not {IDENTITY_KEY_BYTES}"
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read base64 of 32 bytes. Raises IdentityKeyError, which never quotes the text."""
        try:
            return cls(base64.b64decode(text.strip(), validate=True))
        except binascii.Error as error:
            raise IdentityKeyError("the identity key is not base64") from error

    @property
    def fingerprint(self) -> str:
        """What distinguishes two keys and reveals nothing of them: 32 hex characters."""
        return self._mac("fingerprint").hex()[:32]

    @property
    def _name(self) -> str:
        return self.fingerprint[:8]

    def payment_id(self, merchant_id: str, idempotency_key: str) -> UUID:
        """The payment that this merchant's idempotency key stands for."""
        return _uuid(self._mac("payment", merchant_id, idempotency_key))

    def refund_id(self, payment: UUID, idempotency_key: str) -> UUID:
        """The refund of this payment that the idempotency key stands for."""
        return _uuid(self._mac("refund", payment.hex, idempotency_key))

    def request_hash(self, canonical: str) -> str:
        """What distinguishes two requests, of no use to guess payer data with.

        It begins with 8 hex characters that name the key, then a dot and 64 more.
        """
        return f"{self._name}.{self._mac('request', canonical).hex()}"

    def made(self, request_hash: str) -> bool:
        """Whether a hash was made with this key: only then it can be compared."""
        return request_hash.startswith(f"{self._name}.")

    def _mac(self, *parts: str) -> bytes:
        message = _SEPARATOR.join(parts).encode(errors="surrogatepass")
        return hmac.digest(self.secret, message, sha256)


def new_identity_key() -> str:
    """Return the text of a fresh key, as `IdentityKey.parse` reads it."""
    return base64.b64encode(secrets.token_bytes(IDENTITY_KEY_BYTES)).decode() + "\n"


def automatic_refund_id(payment: UUID, what: str) -> UUID:
    """The refund that we or the store start, once per payment and `what`."""
    return uuid5(_NAMESPACE, _SEPARATOR.join(("refund", payment.hex, what)))


def event_id(subject: UUID, change: str) -> UUID:
    """The event of one change of a payment or refund; the same change is the same event."""
    return uuid5(_NAMESPACE, _SEPARATOR.join(("event", subject.hex, change)))


def payment_workflow_id(payment: UUID) -> str:
    """`payment-<hex>`."""
    return f"payment-{payment.hex}"


def refund_workflow_id(refund: UUID) -> str:
    """`refund-<hex>`."""
    return f"refund-{refund.hex}"


def late_workflow_id(payment: UUID) -> str:
    """`late-<hex>`, of the payment."""
    return f"late-{payment.hex}"


def store_workflow_id(provider: str, account: str, original_transaction_id: str) -> str:
    """`store-<provider>-<account>-<number>`, of one chain of purchases."""
    return f"store-{provider}-{account}-{original_transaction_id}"


def parse_reference(reference: str) -> UUID | None:
    """Our id from a provider's order number; None where it was never ours."""
    if len(reference) != 32 or not reference.isascii():  # noqa: PLR2004 - a UUID in hex
        return None
    try:
        return UUID(hex=reference)
    except ValueError:
        return None


def _uuid(mac: bytes) -> UUID:
    """A UUID of version 8, which RFC 9562 leaves to the application (section 5.8)."""
    octets = bytearray(mac[:16])
    octets[6] = octets[6] & 0x0F | 0x80
    octets[8] = octets[8] & 0x3F | 0x80
    return UUID(bytes=bytes(octets))
