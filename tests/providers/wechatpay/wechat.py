"""WeChat Pay's side in a test's hands: its own signing and sealing, and answers by script."""

import asyncio
import base64
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.x509.oid import NameOID

API_V3_KEY = "0123456789abcdef0123456789ABCDEF"
PUBLIC_KEY_ID = "PUB_KEY_ID_0116000000012026112200001"
MCHID = "1900000109"
APPID = "wx8888888888888888"
MERCHANT_SERIAL = "0C4AEF34B89340881BB2B25226393DC2E47F094B"
NO_CERTIFICATES = {"code": "RESOURCE_NOT_EXISTS", "message": "无可用的平台证书"}
NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)

Handler = Callable[[httpx.Request], httpx.Response]


@cache
def rsa_key(name: str) -> rsa.RSAPrivateKey:
    """A key by name; slow to make, so made once a run."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def private_pem(name: str) -> str:
    return (
        rsa_key(name)
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
    )


def public_pem(name: str) -> str:
    return (
        rsa_key(name)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


@dataclass
class TurnableClock:
    """A clock that moves only when told to."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **span: float) -> None:
        self.now += timedelta(**span)


@dataclass(frozen=True)
class Key:
    """A platform key, and its certificate's PEM where it has one."""

    serial: str
    private: rsa.RSAPrivateKey
    pem: str = ""


def certificate(name: str, serial: str, **life: datetime) -> Key:
    """A self-signed platform certificate under this serial (hex)."""
    return Key(serial, rsa_key(name), _certificate_pem(rsa_key(name), serial, **life).decode())


def elliptic_certificate(serial: str) -> bytes:
    """A certificate's PEM that is fine, and not RSA."""
    return _certificate_pem(ec.generate_private_key(ec.SECP256R1()), serial)


def _certificate_pem(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, serial: str, **life: datetime
) -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tenpay.com sign")])
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(int(serial, 16))
        .not_valid_before(life.get("start", NOW - timedelta(days=30)))
        .not_valid_after(life.get("end", NOW + timedelta(days=300)))
        .sign(key, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM)


def sealed(plaintext: bytes, associated_data: str = "transaction") -> dict[str, str]:
    """The `resource` that holds the plaintext."""
    nonce = secrets.token_hex(6)
    content = AESGCM(API_V3_KEY.encode()).encrypt(
        nonce.encode(), plaintext, associated_data.encode()
    )
    return {
        "algorithm": "AEAD_AES_256_GCM",
        "nonce": nonce,
        "associated_data": associated_data,
        "ciphertext": base64.b64encode(content).decode(),
    }


def refusing(status: int, content: Any) -> Handler:
    """Always this answer, unsigned."""
    return lambda _: httpx.Response(status, content=json.dumps(content).encode())


@dataclass
class FakeWechat:
    """Answers calls in the order of `script`; downloads of certificates beside it."""

    clock: TurnableClock
    signer: Key
    certificates: list[Key] = field(default_factory=list)
    script: list[Handler] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)
    downloads: list[httpx.Request] = field(default_factory=list)
    download: Handler | None = None
    hold: asyncio.Event | None = None
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v3/certificates":
            self.downloads.append(request)
            self.asked.set()
            await (self.hold.wait() if self.hold else asyncio.sleep(0))
            return (self.download or self.good_download)(request)
        self.requests.append(request)
        return self.script.pop(0)(request)

    def http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self.handle))

    def then(self, status: int, content: Any = None, **headers: str) -> None:
        """Answer the next call so, signed."""
        body = b"" if content is None else json.dumps(content, ensure_ascii=False).encode()
        self.script.append(
            lambda _: httpx.Response(status, content=body, headers=self.seal(body) | headers)
        )

    def then_unsigned(self, status: int, content: Any = None, **headers: str) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.script.append(lambda _: httpx.Response(status, content=body, headers=headers))

    def then_raise(self, error: Exception) -> None:
        def fail(_: httpx.Request) -> httpx.Response:
            raise error

        self.script.append(fail)

    def seal(self, body: bytes, key: Key | None = None, *, age: float = 0) -> dict[str, str]:
        """The signature headers, lower-case as a web server hands them on."""
        key = key or self.signer
        timestamp, nonce = str(int(self.clock.now.timestamp() - age)), secrets.token_hex(16)
        content = f"{timestamp}\n{nonce}\n".encode() + body + b"\n"
        signature = key.private.sign(content, padding.PKCS1v15(), hashes.SHA256())
        return {
            "wechatpay-timestamp": timestamp,
            "wechatpay-nonce": nonce,
            "wechatpay-serial": key.serial,
            "wechatpay-signature": base64.b64encode(signature).decode(),
            "wechatpay-signature-type": "WECHATPAY2-SHA256-RSA2048",
        }

    def good_download(self, _: httpx.Request) -> httpx.Response:
        entries = [
            {
                "serial_no": key.serial,
                "effective_time": "2026-01-01T00:00:00+08:00",
                "expire_time": "2031-01-01T00:00:00+08:00",
                "encrypt_certificate": sealed(key.pem.encode(), "certificate"),
            }
            for key in self.certificates
        ]
        body = json.dumps({"data": entries}).encode()
        return httpx.Response(200, content=body, headers=self.seal(body))

    def notify(
        self, plaintext: dict[str, Any], event: str = "TRANSACTION.SUCCESS"
    ) -> tuple[dict[str, str], bytes]:
        """A genuine notification: headers and body."""
        content = {
            "id": "EV-2026112216000000001",
            "create_time": "2026-11-22T16:00:00+08:00",
            "event_type": event,
            "resource_type": "encrypt-resource",
            "summary": "支付成功",
            "resource": sealed(json.dumps(plaintext, ensure_ascii=False).encode()),
        }
        body = json.dumps(content, ensure_ascii=False).encode()
        return self.seal(body), body

    def body_of(self, index: int = -1) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.requests[index].content)
        return parsed


def elliptic_pems() -> tuple[str, str]:
    """A private and a public key that are fine, and not RSA."""
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public.decode()
