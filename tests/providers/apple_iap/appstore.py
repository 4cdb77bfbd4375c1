"""The App Store's side by hand, where a test must say exactly what stands on the wire."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from domain.notification import Notification
from domain.store_change import StoreChange
from providers.apple_iap.provider import AppleIapProvider, build

NOW = datetime(2026, 3, 1, 4, 5, 6, tzinfo=UTC)
DAY = timedelta(days=1)
BUNDLE = "com.example.tea"
TOKEN = UUID("7e3fb20b-4cdb-47cc-936d-99d65f608138")
LEAF_MARK = "1.2.840.113635.100.6.11.1"
MIDDLE_MARK = "1.2.840.113635.100.6.2.1"
PRODUCTION, SANDBOX = "https://production.test", "https://sandbox.test"
Key = ec.EllipticCurvePrivateKey
_NULL = b"\x05\x00"
_NAMES = {
    "ca": ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
           "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
}  # fmt: skip


def ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def new_key(curve: ec.EllipticCurve | None = None) -> Key:
    return ec.generate_private_key(curve or ec.SECP256R1())


def pem(key: Key) -> str:
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return key.private_bytes(*form).decode()


def _usage(*allowed: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{name: name in allowed for name in _NAMES["ca"]})


@dataclass(frozen=True)
class Authority:
    """Issues certificates under a name; everything an honest authority writes in is written in."""

    common: str
    key: Key

    def issue(
        self,
        common: str,
        key: Key,
        *marks: str,
        ca: bool = False,
        days: tuple[int, int] = (-400, 400),
    ) -> bytes:
        own, issuer = key.public_key(), self.key.public_key()
        usage = _usage("key_cert_sign", "crl_sign") if ca else _usage("digital_signature")
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(common))
            .issuer_name(_name(self.common))
            .public_key(own)
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + days[0] * DAY)
            .not_valid_after(NOW + days[1] * DAY)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(own), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False
            )
        )
        for mark in marks:
            extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(mark), _NULL)
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.DER)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


@dataclass(frozen=True)
class Signer:
    """Signs texts under one chain, which is whatever a test makes of it."""

    key: Key
    chain: tuple[bytes, ...]

    def sign(self, payload: dict[str, Any], **header: Any) -> str:
        """`header` goes over the genuine one."""
        full = {"alg": "ES256", "x5c": [base64.b64encode(one).decode() for one in self.chain]}
        return self.sign_raw(json.dumps(payload).encode(), full | header)

    def sign_raw(self, payload: bytes, header: dict[str, Any]) -> str:
        signed = f"{url64(json.dumps(header).encode())}.{url64(payload)}"
        r, s = decode_dss_signature(self.key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{url64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def url64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@dataclass(frozen=True)
class Keys:
    """A small tree like the App Store's, and the app's own API key."""

    root: Authority
    middle: Authority
    leaf: Key
    root_der: bytes
    middle_der: bytes
    api: Key

    @property
    def root_text(self) -> str:
        return base64.b64encode(self.root_der).decode()

    def signer(self, **changes: Any) -> Signer:
        """A genuine chain; `changes` go over how its leaf is issued."""
        values: dict[str, Any] = {"marks": (LEAF_MARK,), "days": (-400, 400), "key": self.leaf}
        values |= changes
        leaf = self.middle.issue("Leaf", values["key"], *values["marks"], days=values["days"])
        return Signer(values["key"], (leaf, self.middle_der, self.root_der))


def make_keys() -> Keys:
    curve = ec.SECP384R1()
    root, middle = Authority("Root", new_key(curve)), Authority("Middle", new_key(curve))
    return Keys(
        root,
        middle,
        new_key(),
        root.issue("Root", root.key, ca=True),
        root.issue("Middle", middle.key, MIDDLE_MARK, ca=True),
        new_key(),
    )


Reply = dict[str, Any] | Callable[[httpx.Request], httpx.Response]


@dataclass
class FakeAppStore:
    """Signs what a test says, and answers the calls in turn."""

    keys: Keys
    signer: Signer
    now: datetime = NOW
    replies: list[Reply] = field(default_factory=list)
    calls: list[httpx.Request] = field(default_factory=list)

    def provider(self, account: dict[str, Any]) -> AppleIapProvider:
        return build(
            account,
            http=httpx.AsyncClient(transport=httpx.MockTransport(self._handle)),
            clock=lambda: self.now,
            notify_url="https://pay.example.com/notify/apple_iap/main",
        )

    def then(self, *replies: Reply) -> None:
        self.replies.extend(replies)

    def then_error(self, status: int, code: int | None = None, **headers: str) -> None:
        """An error as the App Store answers it; without a code the body is empty."""
        content = b"" if code is None else json.dumps({"errorCode": code, "errorMessage": "No."})
        sent = {"content-type": "application/json"} | headers
        self.replies.append(lambda _: httpx.Response(status, content=content, headers=sent))

    def then_raw(self, content: bytes, status: int = 200) -> None:
        self.replies.append(lambda _: httpx.Response(status, content=content))

    def told(self, *signed: str, **more: Any) -> dict[str, Any]:
        """A page of the notification history."""
        entries = [{"signedPayload": one, "sendAttempts": []} for one in signed]
        return {"notificationHistory": entries, "hasMore": False} | more

    def transaction(self, **changes: Any) -> str:
        return self.signer.sign(self.payload(**changes))

    def payload(self, **changes: Any) -> dict[str, Any]:
        """What stands in a signed transaction; a change to None leaves the field out."""
        values: dict[str, Any] = {
            "transactionId": "2000000000000001",
            "originalTransactionId": "2000000000000001",
            "bundleId": BUNDLE,
            "productId": "tea.credits.10",
            "type": "Consumable",
            "purchaseDate": ms(NOW),
            "originalPurchaseDate": ms(NOW),
            "quantity": 1,
            "inAppOwnershipType": "PURCHASED",
            "signedDate": ms(NOW),
            "environment": "Sandbox",
            "transactionReason": "PURCHASE",
            "storefront": "CHN",
            "storefrontId": "143465",
            "price": 6000,
            "currency": "CNY",
            "appAccountToken": str(TOKEN),
            "appTransactionId": "704000000000000001",
        }
        return {key: value for key, value in (values | changes).items() if value is not None}

    def renewal(self, **changes: Any) -> str:
        values = {
            "originalTransactionId": "2000000000000001",
            "autoRenewStatus": 1,
            "environment": "Sandbox",
            "signedDate": ms(NOW),
        }
        return self.signer.sign(values | changes)

    def message(
        self, kind: str = "ONE_TIME_CHARGE", subtype: str | None = None, **data: Any
    ) -> str:
        """A signed notification; `data` goes over what it is about, None leaves a field out."""
        about = {
            "bundleId": BUNDLE,
            "bundleVersion": "1",
            "environment": "Sandbox",
            "signedTransactionInfo": self.transaction(),
        }
        about = {key: value for key, value in (about | data).items() if value is not None}
        return self.signer.sign(self.envelope(kind, subtype, data=about))

    def envelope(self, kind: str, subtype: str | None = None, **more: Any) -> dict[str, Any]:
        values = {
            "notificationType": kind,
            "notificationUUID": "002e14d5-51f5-4503-b5a8-c3a1af68eb20",
            "version": "2.0",
            "signedDate": ms(NOW),
        }
        return values | ({"subtype": subtype} if subtype else {}) | more

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.calls.append(request)
        reply = self.replies.pop(0)
        return reply(request) if callable(reply) else httpx.Response(200, json=reply)


def body(signed: str) -> bytes:
    """What is posted to our notify endpoint."""
    return json.dumps({"signedPayload": signed}).encode()


async def hear(provider: AppleIapProvider, signed: str) -> Notification:
    """The notification that was posted."""
    return await provider.parse_notification({}, body(signed))


async def hear_change(provider: AppleIapProvider, signed: str) -> StoreChange:
    """What the notification that was posted says has changed."""
    found = (await hear(provider, signed)).change
    assert found is not None
    return found
