"""A seller's client written from the protocol alone: it shares no code with either side."""

import base64
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

BEIJING = timezone(timedelta(hours=8))


def pad(text: bytes) -> bytes:
    """PKCS#7 to blocks of 16."""
    count = 16 - len(text) % 16
    return text + bytes([count]) * count


def _aes(key: str) -> Cipher[modes.CBC]:
    return Cipher(algorithms.AES(base64.b64decode(key)), modes.CBC(bytes(16)))


def digest_of(sign_type: str) -> hashes.HashAlgorithm:
    """SHA-1 for the old type."""
    return hashes.SHA1() if sign_type == "RSA" else hashes.SHA256()  # noqa: S303 - the old type


@dataclass
class AlipayShop:
    """One application of the manifest, with everything needed to call and to verify."""

    client: httpx.AsyncClient
    app: dict[str, Any]
    gateway: str
    extra: dict[str, str] = field(default_factory=dict)

    def params(self, method: str, biz: dict[str, Any], /, **changes: str | None) -> dict[str, str]:
        """The signed parameters of a call; `changes` replace or (None) drop before signing."""
        text = json.dumps(biz, ensure_ascii=False)
        params: dict[str, str | None] = {
            "app_id": self.app["app_id"],
            "method": method,
            "format": "JSON",
            "charset": "utf-8",
            "sign_type": self.app.get("sign_type", "RSA2"),
            "timestamp": datetime.now(BEIJING).strftime("%Y-%m-%d %H:%M:%S"),
            "version": "1.0",
            "biz_content": text,
        }
        if self.app["aes_key"]:
            encryptor = _aes(self.app["aes_key"]).encryptor()
            sealed = encryptor.update(pad(text.encode())) + encryptor.finalize()
            params |= {"encrypt_type": "AES", "biz_content": base64.b64encode(sealed).decode()}
        merged = {**params, **self.extra, **changes}
        return self.sign({key: value for key, value in merged.items() if value is not None})

    def sign(self, params: dict[str, str], *, sign_type: str | None = None) -> dict[str, str]:
        """Add `sign` over every parameter, by their `sign_type` or another."""
        params = {key: value for key, value in params.items() if key != "sign"}
        text = "&".join(f"{key}={params[key]}" for key in sorted(params) if params[key])
        data = text.encode(params.get("charset", "utf-8"))
        pem = Path(self.app["app_private_key_file"]).read_bytes()
        key = load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True)
        assert isinstance(key, rsa.RSAPrivateKey)
        digest = digest_of(sign_type or params.get("sign_type", ""))
        signature = key.sign(data, padding.PKCS1v15(), digest)
        return params | {"sign": base64.b64encode(signature).decode()}

    def order_string(self, method: str, biz: dict[str, Any], /, **changes: str | None) -> str:
        """What a phone or browser carries to the gateway."""
        return urlencode(self.params(method, biz, **changes))

    async def call(
        self, method: str, biz: dict[str, Any], /, **changes: str | None
    ) -> dict[str, Any]:
        """Call, verify the answer's signature over its raw text, and return the node."""
        return self.node(await self.post(self.params(method, biz, **changes)))

    async def post(self, params: dict[str, str]) -> httpx.Response:
        """Send parameters as they are."""
        charset = params.get("charset", "utf-8")
        form = urlencode({"biz_content": params.get("biz_content", "")}, encoding=charset)
        query = {key: value for key, value in params.items() if key != "biz_content"}
        return await self.client.post(
            f"{self.gateway}?{urlencode(query, encoding=charset)}",
            content=form,
            headers={"content-type": f"application/x-www-form-urlencoded;charset={charset}"},
        )

    def node(self, response: httpx.Response) -> dict[str, Any]:
        """The verified node of an answer; fails the test when the signature is not Alipay's."""
        assert response.status_code == 200
        raw, node = self.split(response.text)
        body = json.loads(response.text)
        self.verify(raw.encode(response.encoding or "utf-8"), body["sign"])
        if isinstance(node, str):
            decryptor = _aes(self.app["aes_key"]).decryptor()
            padded = decryptor.update(base64.b64decode(node)) + decryptor.finalize()
            return dict(json.loads(padded[: -padded[-1]]))
        return dict(node)

    def split(self, text: str) -> tuple[str, Any]:
        """The exact text of the first node, and its value."""
        start = text.index(":", text.index("_response")) + 1
        value, end = json.JSONDecoder().raw_decode(text, start)
        return text[start:end], value

    def verify(self, data: bytes, signature: str) -> None:
        """Raise InvalidSignature unless Alipay signed exactly this."""
        self.alipay_key().verify(
            base64.b64decode(signature),
            data,
            padding.PKCS1v15(),
            digest_of(self.app.get("sign_type", "RSA2")),
        )

    def verify_form(self, form: dict[str, str], charset: str = "utf-8") -> None:
        """The rule of notifications and returns: without `sign` and `sign_type`."""
        kept = {key: form[key] for key in sorted(form) if key not in ("sign", "sign_type")}
        text = "&".join(f"{key}={value}" for key, value in kept.items() if value)
        self.verify(text.encode(charset), form["sign"])

    def alipay_key(self) -> rsa.RSAPublicKey:
        """Alipay's key, from the PEM or the first certificate of the file."""
        if self.app["mode"] == "certificate":
            certificate = self.certificates("alipay_cert_file")[0].public_key()
            assert isinstance(certificate, rsa.RSAPublicKey)
            return certificate
        key = load_pem_public_key(Path(self.app["alipay_public_key_file"]).read_bytes())
        assert isinstance(key, rsa.RSAPublicKey)
        return key

    def certificates(self, file: str) -> list[x509.Certificate]:
        """The certificates of one of the application's files."""
        return x509.load_pem_x509_certificates(Path(self.app[file]).read_bytes())
