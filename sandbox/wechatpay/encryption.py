import base64
import secrets
import string

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ALGORITHM = "AEAD_AES_256_GCM"
KEY_BYTES = 32
NONCE_LENGTH = 12
NONCE_ALPHABET = string.ascii_letters + string.digits


def seal(api_v3_key: str, plaintext: bytes, associated_data: str) -> dict[str, str]:
    """Encrypt for the merchant; the four fields of a `resource` or an `encrypt_certificate`.

    The tag follows the ciphertext. Only keys of 32 bytes: the algorithm's name promises AES-256.
    """
    key = api_v3_key.encode()
    if len(key) != KEY_BYTES:
        raise ValueError("an APIv3 key has 32 bytes")
    nonce = "".join(secrets.choice(NONCE_ALPHABET) for _ in range(NONCE_LENGTH))
    sealed = AESGCM(key).encrypt(nonce.encode(), plaintext, associated_data.encode())
    return {
        "algorithm": ALGORITHM,
        "nonce": nonce,
        "associated_data": associated_data,
        "ciphertext": base64.b64encode(sealed).decode(),
    }
