# Compact JWS as the store writes it: the header is exactly alg and x5c (RFC 7515), the signature
# is r and s side by side (RFC 7518 section 3.4).
import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding

from sandbox.apple_iap.keys import SIGNERS, KeyRing

NUMBER_BYTES = 32
FORGERIES = (
    *SIGNERS[1:],
    "unsigned",
    "alg_hs256",
    "bad_signature",
    "tamper_body",
    "signtest",
    "unknown_serial",
    "foreign_key",
    "two_certificates",
    "nested_foreign_ca",
)


def encode(raw: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """The bytes of base64url without padding; raises ValueError."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def sign(keys: KeyRing, claims: dict[str, Any], flaw: str | None = None) -> str:
    """The claims as a JWS; `flaw` is one of `FORGERIES`, anything else signs genuinely."""
    signer = keys.signer(flaw if flaw in SIGNERS else "genuine")
    chain = signer.chain[:2] if flaw == "two_certificates" else signer.chain
    header: dict[str, Any] = {"alg": _algorithm(flaw), "x5c": _x5c(chain)}
    if flaw == "unknown_serial":
        del header["x5c"]
    signed = f"{_part(header)}.{_part(claims)}"
    if flaw == "unsigned":
        return f"{signed}."
    if flaw == "alg_hs256":
        # The confusion of old libraries: what is public is taken for a shared secret.
        secret = signer.chain[0].public_bytes(Encoding.PEM)
        return f"{signed}.{encode(hmac.digest(secret, signed.encode(), hashlib.sha256))}"
    key = keys.stranger if flaw == "foreign_key" else signer.key
    content = signed + "." if flaw in ("bad_signature", "signtest") else signed
    signature = _signature(key, content.encode())
    if flaw == "tamper_body":
        signed = f"{_part(header)}.{_part(claims | {'tampered': True})}"
    return f"{signed}.{encode(signature)}"


def _algorithm(flaw: str | None) -> str:
    return {"unsigned": "none", "alg_hs256": "HS256"}.get(flaw or "", "ES256")


def _x5c(chain: Sequence[x509.Certificate]) -> list[str]:
    return [base64.b64encode(item.public_bytes(Encoding.DER)).decode() for item in chain]


def _part(content: dict[str, Any]) -> str:
    return encode(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode())


def _signature(key: EllipticCurvePrivateKey, content: bytes) -> bytes:
    r, s = decode_dss_signature(key.sign(content, ECDSA(hashes.SHA256())))
    return r.to_bytes(NUMBER_BYTES, "big") + s.to_bytes(NUMBER_BYTES, "big")
