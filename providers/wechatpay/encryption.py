"""Decryption of what WeChat Pay sends under the API v3 key: AES-256-GCM, bytes in, bytes out."""

import base64

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from providers.wechatpay.wire import Malformed, Resource

ALGORITHM = "AEAD_AES_256_GCM"
NONCE_BYTES = 12


def decrypt(key: bytes, resource: Resource) -> bytes:
    """The plaintext; raises Malformed where the key, the tag or the form is wrong."""
    if resource.algorithm != ALGORITHM:
        raise Malformed("the resource is encrypted by another algorithm")
    nonce = resource.nonce.encode()
    if len(nonce) != NONCE_BYTES:
        raise Malformed(f"the resource's nonce is not {NONCE_BYTES} bytes")
    try:
        sealed = base64.b64decode(resource.ciphertext, validate=True)
        return AESGCM(key).decrypt(nonce, sealed, resource.associated_data.encode())
    # A ciphertext beyond ASCII is a plain ValueError, of which bad base64 is a kind.
    except (InvalidTag, ValueError):
        raise Malformed("the resource does not decrypt with our API v3 key") from None
