"""Content encryption: AES-128-CBC, zero vector, PKCS#7, base64 (sheet 1.6)."""

import base64

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

_KEY_BYTES = 16
# The zero vector is Alipay's rule; the signature around it is what keeps the content honest.
_VECTOR = modes.CBC(bytes(16))


def load_aes_key(text: str) -> bytes:
    """The key from its base64; raises ValueError without naming it."""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError as error:
        raise ValueError("aes_key is not base64") from error
    if len(key) != _KEY_BYTES:
        raise ValueError("aes_key is not 16 bytes")
    return key


def encrypt(key: bytes, plain: bytes) -> str:
    """Seal a request's content."""
    padder = PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(key), _VECTOR).encryptor()
    padded = padder.update(plain) + padder.finalize()
    return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()


def decrypt(key: bytes, text: str) -> bytes:
    """Open an answer's content; raises ValueError for anything that was not sealed so."""
    decryptor = Cipher(algorithms.AES(key), _VECTOR).decryptor()
    padded = decryptor.update(base64.b64decode(text, validate=True)) + decryptor.finalize()
    unpadder = PKCS7(128).unpadder()
    return unpadder.update(padded) + unpadder.finalize()
