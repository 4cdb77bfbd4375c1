import json
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from sandbox.apple_iap.errors import UnauthorizedError
from sandbox.apple_iap.keys import KeyRing
from sandbox.apple_iap.signing import NUMBER_BYTES, decode

AUDIENCE = "appstoreconnect-v1"
LONGEST_LIFE_SECONDS = 3600
PARTS = 3


def admit(header: str | None, keys: KeyRing, now: datetime) -> None:
    """Check the developer's token as Apple does; raises UnauthorizedError."""
    scheme, _, token = (header or "").partition(" ")
    if scheme.lower() != "bearer":
        raise UnauthorizedError
    try:
        claims = _verified(token.strip(), keys)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise UnauthorizedError from error
    if not _holds(claims, keys, now.timestamp()):
        raise UnauthorizedError


def _verified(token: str, keys: KeyRing) -> dict[str, Any]:
    parts = token.split(".")
    if len(parts) != PARTS:
        raise ValueError("a token has three parts")
    header, claims = (json.loads(decode(part)) for part in parts[:2])
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise TypeError("header and claims are objects")
    named = (header.get("alg"), header.get("typ"), header.get("kid"))
    if named != ("ES256", "JWT", keys.key_id):
        raise ValueError("another algorithm, type or key")
    signature = decode(parts[2])
    if len(signature) != 2 * NUMBER_BYTES:
        raise ValueError("an ES256 signature is two numbers of 32 bytes")
    r, s = signature[:NUMBER_BYTES], signature[NUMBER_BYTES:]
    der = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
    signed = f"{parts[0]}.{parts[1]}".encode()
    keys.developer_key.verify(der, signed, ECDSA(hashes.SHA256()))
    return claims


def _holds(claims: dict[str, Any], keys: KeyRing, now: float) -> bool:
    issued: Any = claims.get("iat", now)
    ends: Any = claims.get("exp")
    if not all(_is_number(moment) for moment in (issued, ends)):
        return False
    named = (claims.get("iss"), claims.get("aud"), claims.get("bid"))
    is_ours = named == (keys.issuer_id, AUDIENCE, keys.bundle_id)
    # Apple's clock and ours may differ by a second.
    return is_ours and issued <= now + 1 and now < ends <= min(issued, now) + LONGEST_LIFE_SECONDS


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
