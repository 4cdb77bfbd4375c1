"""API v3 signatures: bytes in, bytes out, no I/O.

May live here: what is signed, how, and whether a signature is fresh and good. Whose key a serial
names is `keys.py`'s business.
"""

import base64
import binascii
import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Self

import httpx
from cryptography import x509
from cryptography.exceptions import InvalidSignature as WrongSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

SCHEME = "WECHATPAY2-SHA256-RSA2048"
# WeChat Pay now and then signs wrongly on purpose, to see whether we check.
PROBE = "WECHATPAY/SIGNTEST/"
FRESHNESS = timedelta(seconds=300)
_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)
# No line feed may pass: it would let a signed body be cut up differently than it was signed.
_TOKEN = re.compile(r"[!-~]{1,128}", re.ASCII)


class BadSignature(ValueError):  # noqa: N818 - the name says what it is
    """A message that is not WeChat Pay's own, or no longer fresh."""


def load_private_key(pem: str) -> RSAPrivateKey:
    """The merchant's RSA key; raises ValueError without quoting any of it."""
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        raise ValueError("the merchant private key is not an unencrypted PEM key") from None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("the merchant private key is not an RSA key")  # noqa: TRY004 - bad content
    return key


def load_public_key(pem: str) -> RSAPublicKey:
    """WeChat Pay's RSA public key; raises ValueError."""
    try:
        key = load_pem_public_key(pem.encode())
    except ValueError:
        raise ValueError("the WeChat Pay public key is not a PEM public key") from None
    if not isinstance(key, RSAPublicKey):
        raise ValueError("the WeChat Pay public key is not an RSA key")  # noqa: TRY004
    return key


def certificate_serial(certificate: x509.Certificate) -> str:
    """The serial as WeChat Pay writes it: upper-case hex, byte by byte."""
    number = certificate.serial_number
    return number.to_bytes((number.bit_length() + 7) // 8, "big").hex().upper()


def comparable_serial(serial: str) -> str:
    """A serial without what its writers do differently: case and leading zeros.

    `PUB_KEY_ID_…` stays as it is.
    """
    return serial.upper().lstrip("0")


def lines(*parts: bytes) -> bytes:
    """What is signed: every part ends with a line feed, the last one too.

    Raises ValueError where another part than the last, the body, holds one itself.
    """
    if any(b"\n" in part for part in parts[:-1]):
        raise ValueError("a line of what is signed must not hold a line feed")
    return b"".join(part + b"\n" for part in parts)


def sign(key: RSAPrivateKey, content: bytes) -> str:
    """RSA PKCS#1 v1.5 with SHA-256, in base64."""
    return base64.b64encode(key.sign(content, PKCS1v15(), SHA256())).decode()


def verify(key: RSAPublicKey, signature: str, content: bytes) -> None:
    """Raise BadSignature unless `signature` is the key owner's over `content`."""
    try:
        key.verify(base64.b64decode(signature, validate=True), content, PKCS1v15(), SHA256())
    except (binascii.Error, WrongSignature):
        probe = " (a signature probe)" if signature.startswith(PROBE) else ""
        raise BadSignature(f"the signature does not fit the message{probe}") from None


@dataclass(frozen=True)
class SignatureHeaders:
    """The signature headers of an answer or a notification."""

    timestamp: str
    nonce: str
    serial: str
    signature: str

    @classmethod
    def read(cls, headers: Mapping[str, str]) -> Self:
        """From lower-case or case-insensitive headers; raises BadSignature."""
        if headers.get("wechatpay-signature-type", SCHEME) != SCHEME:
            raise BadSignature("the signature is of another type")
        signed = cls(
            timestamp=headers.get("wechatpay-timestamp", ""),
            nonce=headers.get("wechatpay-nonce", ""),
            serial=headers.get("wechatpay-serial", ""),
            signature=headers.get("wechatpay-signature", ""),
        )
        if not _TIMESTAMP.fullmatch(signed.timestamp):
            raise BadSignature("the timestamp is missing or no number of seconds")
        if not all(_TOKEN.fullmatch(part) for part in (signed.nonce, signed.serial)):
            raise BadSignature("the nonce or the serial is missing or malformed")
        if not signed.signature.isascii():
            raise BadSignature("the signature is not ASCII")
        return signed

    def check_fresh(self, now: datetime) -> None:
        """Raise BadSignature where the message is 300 s away from `now`, or further."""
        if abs(now.timestamp() - int(self.timestamp)) >= FRESHNESS.total_seconds():
            raise BadSignature("the message is stale")

    def check(self, key: RSAPublicKey, body: bytes) -> None:
        """Raise BadSignature unless the key's owner signed these raw bytes."""
        content = lines(self.timestamp.encode(), self.nonce.encode(), body)
        verify(key, self.signature, content)


class MerchantSigner:
    """Signs with the merchant's key, for the wire and for the payer's device."""

    def __init__(self, *, mchid: str, serial: str, private_key: RSAPrivateKey) -> None:
        self._mchid = mchid
        self._serial = serial
        self._key = private_key

    def sign_lines(self, *parts: str) -> str:
        """Sign the parts as lines: what `wx.requestPayment` and the app SDK take."""
        return sign(self._key, lines(*(part.encode() for part in parts)))

    def authorization(self, request: httpx.Request, *, timestamp: int, nonce: str) -> str:
        """The `Authorization` header; path, query and body exactly as they go over the wire."""
        content = lines(
            request.method.encode(),
            request.url.raw_path,
            str(timestamp).encode(),
            nonce.encode(),
            request.content,
        )
        return (
            f'{SCHEME} mchid="{self._mchid}",nonce_str="{nonce}",timestamp="{timestamp}",'
            f'serial_no="{self._serial}",signature="{sign(self._key, content)}"'
        )


class MerchantAuth(httpx.Auth):
    """Signs each request as it leaves."""

    requires_request_body = True

    def __init__(self, signer: MerchantSigner, clock: Callable[[], datetime]) -> None:
        self._signer = signer
        self._clock = clock

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the header; httpx calls this with the body read."""
        request.headers["Authorization"] = self._signer.authorization(
            request, timestamp=int(self._clock().timestamp()), nonce=token_hex(16)
        )
        yield request
