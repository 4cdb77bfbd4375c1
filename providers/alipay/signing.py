"""RSA2: keys in, bytes in, signatures out. No I/O, no clock, no wire words but `sign`."""

import base64
import re
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

_PADDING, _DIGEST = padding.PKCS1v15(), hashes.SHA256()
_NAME = re.compile(rb"[A-Za-z0-9_]+")
_NEXT = re.compile(rb"&[A-Za-z0-9_]+=")
_ARMOUR = re.compile(r"-----(BEGIN|END) ([A-Z ]+)-----")


def canonical(params: Mapping[bytes, bytes], *, without: frozenset[bytes]) -> bytes:
    """The bytes that are signed: raw values sorted by key, empty ones left out (sheet 1.3)."""
    return b"&".join(
        key + b"=" + params[key] for key in sorted(params) if params[key] and key not in without
    )


def is_unambiguous(params: Mapping[bytes, bytes]) -> bool:
    """Whether no other parameters have the same canonical string as these.

    Its values are raw: `&name=` inside of one could as well begin the next.
    """
    return all(_NAME.fullmatch(key) and not _NEXT.search(params[key]) for key in params)


def sign(key: rsa.RSAPrivateKey, content: bytes) -> str:
    """The base64 signature over exactly these bytes."""
    signature = key.sign(content, _PADDING, _DIGEST)
    return base64.b64encode(signature).decode()


def is_signed(key: rsa.RSAPublicKey, content: bytes, signature: str) -> bool:
    """Whether the base64 `signature` is this key's over exactly these bytes.

    Only the one canonical base64 of it counts: the spare bits of the last letter are no play.
    """
    try:
        raw = base64.b64decode(signature, validate=True)
        if base64.b64encode(raw).decode() != signature:
            return False
        key.verify(raw, content, _PADDING, _DIGEST)
    except (InvalidSignature, ValueError):
        return False
    return True


def load_private_key(text: str) -> rsa.RSAPrivateKey:
    """Read a private key in any form the wild knows; raises ValueError without naming its text.

    Java SDKs keep bare base64 of PKCS#8, the others bare base64 of PKCS#1, operators PEM of both.
    """
    try:
        key = serialization.load_der_private_key(_der(text), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ValueError("the private key is neither PKCS#1 nor PKCS#8, PEM or base64") from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("the private key is not an RSA key")  # noqa: TRY004 - a bad text
    return key


def load_public_key(text: str) -> rsa.RSAPublicKey:
    """Read Alipay's public key in any form; raises ValueError."""
    if "BEGIN CERTIFICATE" in text:
        raise ValueError("the public key is a certificate: configure certificate mode")
    try:
        key = serialization.load_der_public_key(_der(text))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("the public key is not RSA, PEM or base64") from error
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("the public key is not an RSA key")  # noqa: TRY004 - a bad text
    return key


def _der(text: str) -> bytes:
    # Keys that came through an environment or a form field have "\n" spelled out or lost.
    bare = _ARMOUR.sub("", text.replace("\\n", "\n"))
    return base64.b64decode("".join(bare.split()), validate=True)
