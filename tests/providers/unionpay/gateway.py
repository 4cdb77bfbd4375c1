"""UnionPay's side by hand, where a test must say exactly what stands on the wire."""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, pkcs12
from cryptography.x509.oid import NameOID

from providers.unionpay.provider import UnionpayProvider, build

NOW = datetime(2026, 3, 1, 4, 5, 6, tzinfo=UTC)
MER_ID = "777290058110048"
GATEWAY_NAME = "041@8310000000083040@中国银联股份有限公司@00016493"
# As the test gateway's certificates are named; their parts are those of the production name.
TEST_GATEWAY_NAME = "041@Z12@00040000:SIGN@00000001"
PASSWORD = "000000"
DAY = timedelta(days=1)
# A query's answer about a payment that was paid.
PAID = {
    "respCode": "00",
    "origRespCode": "00",
    "origRespMsg": "成功[0000000]",
    "queryId": "782603011205060674028",
    "txnAmt": "1999",
    "currencyCode": "156",
    "traceTime": "0301120510",
    "txnSubType": "07",
}
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def name(*commons: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common) for common in commons])


@dataclass(frozen=True)
class Authority:
    """Issues certificates under a name."""

    common: str
    key: Key

    def issue(
        self,
        key: Key,
        *commons: str,
        ca: bool | None = None,
        days: tuple[int, int] = (-400, 400),
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(*commons))
            .issuer_name(name(self.common))
            .public_key(key.public_key())
            .serial_number(69903319369)
            .not_valid_before(NOW + days[0] * DAY)
            .not_valid_after(NOW + days[1] * DAY)
        )
        if ca is not None:
            constraints = x509.BasicConstraints(ca=ca, path_length=None)
            builder = builder.add_extension(constraints, critical=True)
        return builder.sign(self.key, hashes.SHA256())


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def on_the_wire(certificate: x509.Certificate) -> str:
    return pem(certificate).strip().replace("\n", "\r\n")


@dataclass(frozen=True)
class Keys:
    """A small certificate tree: UnionPay's and one merchant's."""

    merchant: rsa.RSAPrivateKey
    gateway: rsa.RSAPrivateKey
    root: Authority
    middle: Authority
    root_pem: str
    middle_pem: str
    leaf: str
    pfx: str


def make_keys() -> Keys:
    merchant, gateway = new_key(), new_key()
    root, middle = Authority("Root CA", new_key()), Authority("OCA1", new_key())
    own = middle.issue(merchant, "041@Z1@a shop@1")
    pfx = pkcs12.serialize_key_and_certificates(
        b"sign", merchant, own, None, BestAvailableEncryption(PASSWORD.encode())
    )
    return Keys(
        merchant,
        gateway,
        root,
        middle,
        pem(root.issue(root.key, root.common, ca=True)),
        pem(root.issue(middle.key, middle.common, ca=True)),
        on_the_wire(middle.issue(gateway, GATEWAY_NAME)),
        base64.b64encode(pfx).decode(),
    )


def seal(key: rsa.RSAPrivateKey, fields: dict[str, str], codec: str = "utf-8") -> dict[str, str]:
    text = "&".join(f"{name}={fields[name]}" for name in sorted(fields) if fields[name])
    digest = hashlib.sha256(text.encode(codec)).hexdigest().encode()
    signature = key.sign(digest, padding.PKCS1v15(), hashes.SHA256())
    return fields | {"signature": base64.b64encode(signature).decode()}


Reply = dict[str, str] | Callable[[httpx.Request], httpx.Response]


@dataclass
class FakeGateway:
    """Answers the calls in turn, echoing the request, signed as UnionPay signs."""

    keys: Keys
    now: datetime = NOW
    replies: list[Reply] = field(default_factory=list)
    calls: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def provider(self, account: dict[str, Any], return_url: str | None = None) -> UnionpayProvider:
        return build(
            account,
            http=httpx.AsyncClient(transport=httpx.MockTransport(self._handle)),
            clock=lambda: self.now,
            notify_url="https://pay.example.com/notify/unionpay/main",
            return_url=return_url,
        )

    def then(self, *replies: Reply) -> None:
        self.replies.extend(replies)

    def then_raw(self, body: bytes, status: int = 200) -> None:
        self.replies.append(lambda _: httpx.Response(status, content=body))

    def kinds(self) -> list[str]:
        return [fields["txnType"] for _, fields in self.calls]

    def _handle(self, request: httpx.Request) -> httpx.Response:
        fields = dict(parse_qsl(request.content.decode()))
        self.calls.append((request.url.path, fields))
        reply = self.replies.pop(0)
        if callable(reply):
            return reply(request)
        echo = {key: fields[key] for key in ("merId", "orderId", "txnTime", "encoding")}
        return httpx.Response(200, content=self.answer(echo | {"respMsg": "成功[0000000]"} | reply))

    def answer(self, fields: dict[str, str]) -> bytes:
        return "&".join(f"{key}={value}" for key, value in self.sealed(fields).items()).encode()

    def sealed(self, fields: dict[str, str], codec: str = "utf-8") -> dict[str, str]:
        full = {"signMethod": "01", "signPubKeyCert": self.keys.leaf} | fields
        return seal(self.keys.gateway, {key: value for key, value in full.items() if value}, codec)

    def form(self, fields: dict[str, str], codec: str = "utf-8") -> bytes:
        return urlencode(self.sealed(fields, codec), encoding=codec).encode()
