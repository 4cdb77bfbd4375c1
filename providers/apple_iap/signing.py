"""Signed texts (compact JWS, RFC 7515): ours to the App Store's API, and the App Store's to us.

ES256 alone, by our own choice: what a header says of the algorithm is compared, never obeyed.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
)
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from providers.apple_iap.certificates import Chain, Trust, UntrustedCertificate
from providers.kit.fields import whole_number

_ALGORITHM = "ES256"
_HALF = 32
_PARTS = 3
# A notification with its transaction and renewal is about 15 kB.
LARGEST = 256 * 1024
# The year 5138: dates beyond are nobody's, and would not fit a datetime some day.
_LATEST_MILLISECONDS = 100_000_000_000_000


class NotGenuine(ValueError):  # noqa: N818 - the name says what it is
    """A text that the App Store did not sign, or not in the documented form."""


class Undocumented(NotGenuine):
    """A text that the App Store did sign, and not in the documented form."""


@dataclass(frozen=True)
class _Parsed:
    chain: Chain
    payload: dict[str, Any]
    signed: bytes
    signature: bytes


def read(text: str, trust: Trust, now: datetime) -> dict[str, Any]:
    """The payload of a text that the App Store signed; raises NotGenuine.

    The chain must have been valid when the text was signed (`signedDate`), or now where the text
    does not say: old words stay true.
    """
    parsed = _parse(text)
    signed_at = parsed.payload.get("signedDate")
    try:
        key = trust.public_key(parsed.chain, now if signed_at is None else instant(signed_at))
        key.verify(_as_der(parsed.signature), parsed.signed, ECDSA(SHA256()))
    except InvalidSignature:
        raise NotGenuine("the signature does not fit the text") from None
    except UntrustedCertificate as error:
        raise NotGenuine(str(error)) from error
    return parsed.payload


def sign(key: EllipticCurvePrivateKey, key_id: str, claims: Mapping[str, Any]) -> str:
    """A token that the App Store's API takes for ours."""
    header = {"alg": _ALGORITHM, "kid": key_id, "typ": "JWT"}
    signed = ".".join(_encode(json.dumps(part).encode()) for part in (header, dict(claims)))
    r, s = decode_dss_signature(key.sign(signed.encode(), ECDSA(SHA256())))
    return f"{signed}.{_encode(r.to_bytes(_HALF) + s.to_bytes(_HALF))}"


def load_key(pem: str) -> EllipticCurvePrivateKey:
    """The key of a `.p8` file; raises ValueError without showing it."""
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        raise ValueError("private_key is not the text of a .p8 file") from None
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise ValueError("private_key holds no P-256 key")  # noqa: TRY004 - a wrong value, to us
    return key


def instant(milliseconds: object) -> datetime:
    """The moment of an App Store date; raises NotGenuine."""
    if type(milliseconds) is not int or not 0 <= milliseconds < _LATEST_MILLISECONDS:
        raise NotGenuine("a date is no number of milliseconds")
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def parse_object(content: str | bytes) -> dict[str, Any]:
    """One JSON object; raises NotGenuine."""
    try:
        value = json.loads(content, parse_int=whole_number)
    except (ValueError, RecursionError) as error:
        raise NotGenuine("not JSON") from error
    if not isinstance(value, dict):
        raise NotGenuine("not a JSON object")
    return value


def _parse(text: str) -> _Parsed:
    parts = text.split(".")
    if len(text) > LARGEST or len(parts) != _PARTS:
        raise NotGenuine("not a compact JWS")
    header = parse_object(_decode(parts[0]))
    # `crit` names extensions that a reader must understand, and we know of none.
    if header.get("alg") != _ALGORITHM or "crit" in header:
        raise NotGenuine("the text is not signed with ES256")
    signature = _decode(parts[2])
    if len(signature) != 2 * _HALF:
        raise NotGenuine("the signature is not one of ES256")
    return _Parsed(
        chain=_chain(header.get("x5c")),
        payload=parse_object(_decode(parts[1])),
        signed=f"{parts[0]}.{parts[1]}".encode(),
        signature=signature,
    )


def _chain(x5c: object) -> Chain:
    if not isinstance(x5c, list) or len(x5c) != _PARTS:
        raise NotGenuine("the text does not carry exactly three certificates")
    try:
        leaf, middle, root = (base64.b64decode(one, validate=True) for one in x5c)
    except (TypeError, ValueError):
        raise NotGenuine("a certificate of the text is not base64") from None
    return leaf, middle, root


def _as_der(signature: bytes) -> bytes:
    r, s = signature[:_HALF], signature[_HALF:]
    return encode_dss_signature(int.from_bytes(r), int.from_bytes(s))


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _decode(part: str) -> bytes:
    try:
        content = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise NotGenuine("a part of the text is not base64url") from None
    # Several spellings of the same bytes would let one text pass as many.
    if _encode(content) != part:
        raise NotGenuine("a part of the text is not base64url")
    return content
