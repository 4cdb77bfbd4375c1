"""Alipay's side by hand, where a test must say exactly what stands on the wire."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

from providers.alipay.provider import AlipayProvider, build

NOW = datetime(2026, 3, 1, 4, 5, 6, tzinfo=UTC)
NOTIFY_URL = "https://pay.example.com/notify/alipay/main"
RETURN_URL = "https://pay.example.com/return/alipay/main"


@dataclass(frozen=True)
class Keys:
    """The app's and Alipay's keys, and a small certificate tree."""

    app: rsa.RSAPrivateKey
    alipay: rsa.RSAPrivateKey
    next_alipay: rsa.RSAPrivateKey
    stranger: rsa.RSAPrivateKey
    authority: "Authority"
    certificates: dict[str, str]

    @property
    def app_private(self) -> str:
        return private_pem(self.app)

    @property
    def alipay_public(self) -> str:
        return public_pem(self.alipay.public_key())

    @property
    def app_cert(self) -> str:
        return self.certificates["app"]

    @property
    def alipay_cert(self) -> str:
        return self.certificates["alipay"]

    @property
    def root_cert(self) -> str:
        return self.certificates["root"]


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def private_pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_pem(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> str:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def subject(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Ant Financial"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Alipay"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


@dataclass(frozen=True)
class Authority:
    """Issues certificates under a name."""

    common: str
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

    def issue(
        self,
        common: str,
        key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
        *,
        ca: bool | None = None,
        days: int = 365,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject(common))
            .issuer_name(subject(self.common))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - timedelta(days=400))
            .not_valid_after(NOW + timedelta(days=days))
        )
        if ca is not None:
            constraints = x509.BasicConstraints(ca=ca, path_length=None)
            builder = builder.add_extension(constraints, critical=True)
        return builder.sign(self.key, hashes.SHA256())


def pem(*certificates: x509.Certificate) -> str:
    return "".join(item.public_bytes(Encoding.PEM).decode() for item in certificates)


def make_keys() -> Keys:
    app, alipay, later, stranger, root_key, class_key = (new_key() for _ in range(6))
    root = Authority("Root R1", root_key)
    issuer = Authority("Class 2 R1", class_key)
    between = root.issue("Class 2 R1", class_key, ca=True)
    certificates = {
        "app": pem(issuer.issue("2088-app", app)),
        "alipay": pem(issuer.issue("Alipay-2088", alipay), between),
        "root": pem(root.issue("Root R1", root_key, ca=True)),
    }
    return Keys(app, alipay, later, stranger, issuer, certificates)


def sign(key: rsa.RSAPrivateKey, content: bytes) -> str:
    return base64.b64encode(key.sign(content, padding.PKCS1v15(), hashes.SHA256())).decode()


Respond = Callable[[httpx.Request], httpx.Response]


@dataclass
class FakeAlipay:
    """Answers each method with the node that a test put into `nodes`, signed as real ones are.

    A node is a dict, or the exact text. `body` replaces the whole answer, `respond` everything.
    """

    keys: Keys
    nodes: dict[str, Any] = field(default_factory=dict)
    cert_sn: str | None = None
    signer: rsa.RSAPrivateKey | None = None
    codec: str = "utf-8"
    body: bytes | None = None
    respond: Respond | None = None
    calls: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def provider(self, account: dict[str, Any], **changes: Any) -> AlipayProvider:
        http = httpx.AsyncClient(transport=httpx.MockTransport(self._handle))
        return build(
            account | changes,
            http=http,
            clock=lambda: NOW,
            notify_url=NOTIFY_URL,
            return_url=RETURN_URL,
        )

    def methods(self) -> list[str]:
        return [method for method, _ in self.calls]

    def content(self, place: int = -1) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.calls[place][1]["biz_content"])
        return found

    def _handle(self, request: httpx.Request) -> httpx.Response:
        query = request.url.query.decode()
        params = dict(parse_qsl(f"{query}&{request.content.decode()}", keep_blank_values=True))
        self.calls.append((params["method"], params))
        if self.respond is not None:
            return self.respond(request)
        return httpx.Response(200, content=self.body or self._answer(params["method"]))

    def _answer(self, method: str) -> bytes:
        node = self.nodes[method]
        text = node if isinstance(node, str) else json.dumps(node, ensure_ascii=False)
        return self.envelope(f"{method.replace('.', '_')}_response", text)

    def envelope(self, name: str, text: str) -> bytes:
        signature = sign(self.signer or self.keys.alipay, text.encode(self.codec))
        named = f'"alipay_cert_sn":"{self.cert_sn}",' if self.cert_sn else ""
        return f'{{"{name}":{text},{named}"sign":"{signature}"}}'.encode(self.codec)

    def form(
        self,
        fields: dict[str, str],
        *,
        exclude: tuple[str, ...] = ("sign_type",),
        codec: str | None = None,
    ) -> bytes:
        """A signed notification, in the charset that it names unless `codec` is another."""
        fields = {"sign_type": "RSA2", "charset": "utf-8", **fields}
        codec = codec or ("utf-8" if fields["charset"].lower() == "utf-8" else "gb18030")
        kept = sorted(key for key in fields if fields[key] and key not in exclude)
        text = "&".join(f"{key}={fields[key]}" for key in kept).encode(codec)
        fields["sign"] = sign(self.signer or self.keys.alipay, text)
        return urlencode(fields, encoding=codec).encode()
