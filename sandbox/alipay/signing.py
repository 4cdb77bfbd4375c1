import base64
import binascii
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

BLOCK = 16
# RSA is the name of old applications' signatures.
DIGESTS: Mapping[str, hashes.HashAlgorithm] = {
    "RSA2": hashes.SHA256(),
    "RSA": hashes.SHA1(),  # noqa: S303 - the old type
}


def canonical(params: Mapping[str, str], *, without: tuple[str, ...]) -> str:
    """The string that is signed: raw values, sorted by key, empty ones left out."""
    kept = {key: value for key, value in params.items() if value and key not in without}
    return "&".join(f"{key}={kept[key]}" for key in sorted(kept))


def sign(data: bytes, key: rsa.RSAPrivateKey, sign_type: str) -> str:
    """PKCS#1 v1.5, base64; over SHA-256 where `sign_type` is RSA2, SHA-1 where it is RSA."""
    return base64.b64encode(key.sign(data, padding.PKCS1v15(), DIGESTS[sign_type])).decode()


def is_signed(data: bytes, signature: str, key: rsa.RSAPublicKey, sign_type: str) -> bool:
    """Whether `signature` is of that type and over exactly these bytes."""
    try:
        raw = base64.b64decode(signature, validate=True)
        key.verify(raw, data, padding.PKCS1v15(), DIGESTS[sign_type])
    except (InvalidSignature, binascii.Error):
        return False
    return True


def encrypt(text: bytes, key: bytes) -> str:
    """AES-128-CBC with a zero vector and PKCS#7 padding, base64 (content encryption)."""
    padder = PKCS7(BLOCK * 8).padder()
    padded = padder.update(text) + padder.finalize()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(bytes(BLOCK))).encryptor()
    return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()


def decrypt(text: str, key: bytes) -> bytes:
    """The reverse of `encrypt`; raises ValueError for anything else."""
    decryptor = Cipher(algorithms.AES(key), modes.CBC(bytes(BLOCK))).decryptor()
    padded = decryptor.update(base64.b64decode(text, validate=True)) + decryptor.finalize()
    unpadder = PKCS7(BLOCK * 8).unpadder()
    return unpadder.update(padded) + unpadder.finalize()
