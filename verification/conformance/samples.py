"""One payment and one refund with every character that is ever encoded wrongly, and keys."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from domain.payment import Channel, Payer, Payment
from domain.refund import Refund

NOW = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)
SUBJECT = "三体 & 100% “黑暗”+森林={\"a\":'b'}"
NOTIFY_URL = "https://pay.example.com/notify/some/main"


def clock() -> datetime:
    """The time at which everything here is signed."""
    return NOW


def payment(channel: Channel) -> Payment:
    """A payment of 88.88 yuan."""
    return Payment(
        id=UUID("0190f3c2-7f6e-7a3b-9d10-3f1a2b4c5d6e"),
        merchant_id="m1",
        order_no="o1",
        idempotency_key="o1",
        request_hash="0" * 64,
        provider="some",
        account="main",
        channel=channel,
        amount=8888,
        subject=SUBJECT,
        payer=Payer(open_id="oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", client_ip="203.0.113.9"),
        return_url="https://shop.example.com/done?a=1&b=二",
        created_at=NOW,
        expires_at=NOW + timedelta(minutes=15),
    )


def refund() -> Refund:
    """A refund of 8.88 yuan."""
    return Refund(
        id=UUID("0190f3c2-7f6e-7a3b-9d10-3f1a2b4c5d6f"),
        payment_id=payment(Channel.QR).id,
        merchant_id="m1",
        idempotency_key="r1",
        request_hash="0" * 64,
        provider="some",
        account="main",
        amount=888,
        reason=SUBJECT,
        created_at=NOW,
    )


class KeyPair:
    """An RSA key in the forms that SDKs take."""

    def __init__(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        forms = (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL)
        self.private, self.private_pkcs1 = (
            key.private_bytes(Encoding.PEM, form, NoEncryption()).decode() for form in forms
        )
        public = key.public_key()
        self.public = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


class Wire:
    """Where our provider's requests go: keeps the last one, answers as told."""

    def __init__(self) -> None:
        self.request = httpx.Request("GET", "http://nowhere")
        self.answer = httpx.Response(200)

    def client(self) -> httpx.AsyncClient:
        """A client that reaches only this."""
        return httpx.AsyncClient(transport=httpx.MockTransport(self._handle))

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.request = request
        return self.answer
