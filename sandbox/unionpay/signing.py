import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

RSA, SHA256_KEYED, SM3_KEYED = "01", "11", "12"
SIGNATURE = "signature"


def canonical(fields: Mapping[str, str]) -> str:
    """`key=value` joined by `&` in ASCII order, values raw; no signature, nothing empty."""
    return "&".join(f"{key}={fields[key]}" for key in sorted(fields) if _counts(key, fields[key]))


def sign(key: RSAPrivateKey, fields: Mapping[str, str], charset: str) -> str:
    """Method 01: RSASSA-PKCS1-v1_5 with SHA-256 over the lower-case hex SHA-256, base64."""
    content = _hex_digest(fields, charset)
    return base64.b64encode(key.sign(content, PKCS1v15(), hashes.SHA256())).decode()


def is_signed(key: RSAPublicKey, fields: Mapping[str, str], charset: str) -> bool:
    """Whether the `signature` in `fields` is method 01's; never raises for a foreign value."""
    try:
        raw = base64.b64decode(fields.get(SIGNATURE, ""), validate=True)
        key.verify(raw, _hex_digest(fields, charset), PKCS1v15(), hashes.SHA256())
    except (binascii.Error, ValueError, InvalidSignature):
        return False
    return True


def keyed_digest(method: str, secure_key: str, fields: Mapping[str, str], charset: str) -> str:
    """Methods 11 and 12: hex digest of the canonical text, `&` and the secure key's digest."""
    inner = _digest(method, secure_key.encode()).hex()
    return _digest(method, f"{canonical(fields)}&{inner}".encode(charset)).hex()


def is_keyed_digest(method: str, secure_key: str, fields: Mapping[str, str], charset: str) -> bool:
    """Whether the `signature` in `fields` is method 11's or 12's."""
    expected = keyed_digest(method, secure_key, fields, charset)
    return hmac.compare_digest(expected.encode(), fields.get(SIGNATURE, "").encode())


def _counts(key: str, value: str) -> bool:
    return key != SIGNATURE and value != ""


def _hex_digest(fields: Mapping[str, str], charset: str) -> bytes:
    return hashlib.sha256(canonical(fields).encode(charset)).hexdigest().encode()


def _digest(method: str, content: bytes) -> bytes:
    # Python's own hashlib has SM3 only where its OpenSSL was built with it.
    digest = hashes.Hash(hashes.SM3() if method == SM3_KEYED else hashes.SHA256())
    digest.update(content)
    return digest.finalize()
