"""ACP 5.1.0 signatures: fields in, signature out, no I/O (docs: 签名规范).

May live here: what is signed, and how. Whose certificate may sign is `certificates.py`'s business.
"""

import base64
import binascii
import hmac
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256, SM3, Hash

from providers.kit.fields import UNDECODABLE

RSA, SHA256_KEYED, SM3_KEYED = "01", "11", "12"
SIGNATURE = "signature"
# What `encoding` may say, and Python's codec for it; we send UTF-8, and so does UnionPay in return.
_CODECS = {"gbk": "gb18030", "gb2312": "gb18030", "gb18030": "gb18030"}
_CLOSING = {"{": "}", "[": "]"}
_DIGESTS: dict[str, type[SHA256] | type[SM3]] = {SHA256_KEYED: SHA256, SM3_KEYED: SM3}


def codec_of(fields: Mapping[str, str]) -> str:
    """The codec of a message, by its own `encoding`: UTF-8 for one that we do not know."""
    return _CODECS.get(fields.get("encoding", "").lower(), "utf-8")


def canonical(fields: Mapping[str, str]) -> bytes:
    """`key=value` joined by `&` in ASCII order, values raw; nothing empty, no signature."""
    kept = sorted((key, value) for key, value in fields.items() if value and key != SIGNATURE)
    return "&".join(f"{key}={value}" for key, value in kept).encode(codec_of(fields), UNDECODABLE)


def is_unambiguous(fields: Mapping[str, str]) -> bool:
    """Whether no other fields have the same canonical string as these.

    UnionPay's own parser ends a value at an `&` outside of brackets; a bracket that stays open
    would take in the fields after it (official SDK: parseQString).
    """
    return all(map(_ends_with_itself, fields.values()))


def awaited_after(awaited: str, character: str) -> str:
    """The bracket that must come before an `&` counts again; they do not nest."""
    if awaited:
        return "" if character == awaited else awaited
    return _CLOSING.get(character, "")


def _ends_with_itself(value: str) -> bool:
    awaited = ""
    for character in value:
        if character == "&" and not awaited:
            return False
        awaited = awaited_after(awaited, character)
    return not awaited


def sign(key: RSAPrivateKey, fields: Mapping[str, str]) -> str:
    """Method 01, base64. It hashes twice: what RSA signs is the hex text of a digest."""
    signature = key.sign(_hex(SHA256, canonical(fields)), PKCS1v15(), SHA256())
    return base64.b64encode(signature).decode()


def is_signed(key: RSAPublicKey, fields: Mapping[str, str]) -> bool:
    """Whether the `signature` among the fields is the key owner's, method 01."""
    text = fields.get(SIGNATURE, "")
    try:
        raw = base64.b64decode(text, validate=True)
        # The last character has bits that decoding drops: one signature, one spelling.
        if base64.b64encode(raw).decode() != text:
            return False
        key.verify(raw, _hex(SHA256, canonical(fields)), PKCS1v15(), SHA256())
    except (binascii.Error, ValueError, InvalidSignature):
        return False
    return True


def keyed_digest(method: str, secure_key: str, fields: Mapping[str, str]) -> str:
    """Methods 11 (SHA-256) and 12 (SM3): a digest over the fields and the key's own digest."""
    digest = _DIGESTS[method]
    return _hex(digest, canonical(fields) + b"&" + _hex(digest, secure_key.encode())).decode()


def is_keyed_digest(method: str, secure_key: str, fields: Mapping[str, str]) -> bool:
    """Whether the `signature` among the fields was made with the secure key."""
    expected = keyed_digest(method, secure_key, fields)
    said = fields.get(SIGNATURE, "").encode(errors="replace")
    return hmac.compare_digest(expected.encode(), said)


def _hex(algorithm: type[SHA256] | type[SM3], content: bytes) -> bytes:
    digest = Hash(algorithm())
    digest.update(content)
    return digest.finalize().hex().encode()
