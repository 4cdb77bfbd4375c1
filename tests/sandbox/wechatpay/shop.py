"""A merchant's client written from the protocol alone: it shares no code with either side."""

import base64
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key


@dataclass
class WechatpayShop:
    """One merchant of the manifest; `trusted` maps a `Wechatpay-Serial` to its key.

    `ahead` is how many seconds its clock is ahead of the wall clock.
    """

    client: httpx.AsyncClient
    appid: str
    merchant: dict[str, Any]
    trusted: dict[str, rsa.RSAPublicKey] = field(default_factory=dict)
    ahead: float = 0.0

    def __post_init__(self) -> None:
        if file := self.merchant.get("platform_certificate_file"):
            self.trust_certificate(self.merchant["platform_serial"], Path(file).read_bytes())
        if file := self.merchant.get("public_key_file"):
            key = load_pem_public_key(Path(file).read_bytes())
            assert isinstance(key, rsa.RSAPublicKey)
            self.trusted[self.merchant["public_key_id"]] = key

    def trust_certificate(self, serial: str, pem: bytes) -> None:
        """Accept signatures of this platform certificate."""
        key = x509.load_pem_x509_certificate(pem).public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        self.trusted[serial] = key

    def sign(self, *lines: str) -> str:
        """The merchant's signature over lines that each end with a line feed."""
        pem = Path(self.merchant["merchant_private_key_file"]).read_bytes()
        # The sandbox's own key: checking its primes at each request takes longer than the request.
        key = load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True)
        assert isinstance(key, rsa.RSAPrivateKey)
        content = "".join(f"{line}\n" for line in lines).encode()
        return base64.b64encode(key.sign(content, padding.PKCS1v15(), hashes.SHA256())).decode()

    def authorization(self, method: str, target: str, body: str = "", **changes: str) -> str:
        """The header's value; `changes` replace fields, those that are signed before signing."""
        values = {
            "mchid": self.merchant["mchid"],
            "nonce_str": secrets.token_hex(16),
            "timestamp": str(int(time.time() + self.ahead)),
            "serial_no": self.merchant["merchant_serial"],
        } | changes
        lines = (method, target, values["timestamp"], values["nonce_str"], body)
        values.setdefault("signature", self.sign(*lines))
        fields = ",".join(f'{name}="{value}"' for name, value in values.items())
        return f"WECHATPAY2-SHA256-RSA2048 {fields}"

    async def send(
        self,
        method: str,
        target: str,
        content: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send a signed request; `headers` replace what would be sent."""
        body = "" if content is None else json.dumps(content, ensure_ascii=False)
        usual = {"Accept": "application/json", "User-Agent": "shop/1"}
        usual["Authorization"] = self.authorization(method, target, body)
        if method == "POST":
            usual["Content-Type"] = "application/json"
        if "public_key_id" in self.merchant:
            usual["Wechatpay-Serial"] = self.merchant["public_key_id"]
        merged = {**usual, **(headers or {})}
        return await self.client.request(method, target, content=body.encode(), headers=merged)

    async def call(
        self, method: str, target: str, content: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Send, insist on a good, well signed answer and return its content."""
        response = await self.send(method, target, content)
        assert response.is_success, response.text
        assert self.is_genuine(response.headers, response.content)
        return dict(response.json()) if response.content else {}

    async def refusal(
        self, method: str, target: str, content: Mapping[str, Any] | None = None
    ) -> tuple[int, str]:
        """Send and return the status and the code of an answer that is not good."""
        response = await self.send(method, target, content)
        return response.status_code, response.json()["code"]

    async def state(self, reference: str) -> dict[str, Any]:
        """What WeChat Pay says of an order."""
        mchid = self.merchant["mchid"]
        return await self.call(
            "GET", f"/v3/pay/transactions/out-trade-no/{reference}?mchid={mchid}"
        )

    def is_genuine(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether a trusted key, named by the headers, signed these bytes just now."""
        key = self.trusted.get(headers.get("Wechatpay-Serial", ""))
        timestamp, nonce = headers.get("Wechatpay-Timestamp", "0"), headers.get("Wechatpay-Nonce")
        if key is None or abs(time.time() + self.ahead - int(timestamp)) >= 300:
            return False
        content = f"{timestamp}\n{nonce}\n".encode() + body + b"\n"
        try:
            signature = base64.b64decode(headers["Wechatpay-Signature"], validate=True)
            key.verify(signature, content, padding.PKCS1v15(), hashes.SHA256())
        except (ValueError, InvalidSignature):
            return False
        return True

    def unseal(self, resource: Mapping[str, str]) -> bytes:
        """Decrypt what was sealed with the APIv3 key."""
        assert resource["algorithm"] == "AEAD_AES_256_GCM"
        key = self.merchant["api_v3_key"].encode()
        assert len(key) == 32
        sealed = base64.b64decode(resource["ciphertext"], validate=True)
        aad = resource["associated_data"].encode()
        return AESGCM(key).decrypt(resource["nonce"].encode(), sealed, aad)

    def read(self, notification: httpx.Request) -> tuple[dict[str, Any], dict[str, Any]]:
        """A genuine notification's envelope and its decrypted content."""
        assert self.is_genuine(notification.headers, notification.content)
        envelope = json.loads(notification.content)
        return envelope, json.loads(self.unseal(envelope["resource"]))
