import base64
import binascii

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256


def message(*lines: bytes) -> bytes:
    """The signed text: every line ends with a line feed, the last one too."""
    return b"".join(line + b"\n" for line in lines)


def sign(key: RSAPrivateKey, content: bytes) -> str:
    """RSASSA-PKCS1-v1_5 with SHA-256, base64."""
    return base64.b64encode(key.sign(content, PKCS1v15(), SHA256())).decode()


def is_signed(key: RSAPublicKey, content: bytes, signature: str) -> bool:
    """Whether `signature` is base64 and fits; never raises for a foreign value."""
    try:
        raw = base64.b64decode(signature, validate=True)
        key.verify(raw, content, PKCS1v15(), SHA256())
    except (binascii.Error, ValueError, InvalidSignature):
        return False
    return True
