"""A seller's client of OpenAPI v3, written from the protocol alone."""

import base64
import json
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.sandbox.alipay_shop import AlipayShop, pad

TILL = {"scene": "bar_code", "auth_code": "288888888888888888"}
SCHEME = "ALIPAY-SHA256withRSA"


@dataclass
class Request:
    """A request before it is signed; tests change what they want to be wrong."""

    path: str
    body: bytes
    headers: dict[str, str]
    fields: dict[str, str]
    method: str = "POST"


@dataclass
class AlipayV3Shop:
    """One application that speaks v3; keys and certificates are read by its V2 twin."""

    twin: AlipayShop
    app_cert_sn: str | None = None
    root_cert_sn: str | None = None

    @property
    def client(self) -> httpx.AsyncClient:
        """The connection to the sandbox."""
        return self.twin.client

    def request(self, verb: str, content: Any, *, encrypted: bool = False) -> Request:
        """An unsigned request of `trade.<verb>`; the content is JSON, or ready bytes."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        headers = {"content-type": "application/json"}
        if encrypted:
            body = base64.b64encode(self._cipher(body))
            headers = {"content-type": "text/plain", "alipay-encrypt-type": "AES"}
        if self.root_cert_sn:
            headers["alipay-root-cert-sn"] = self.root_cert_sn
        fields = {"app_id": self.twin.app["app_id"]}
        if self.app_cert_sn:
            fields["app_cert_sn"] = self.app_cert_sn
        fields |= {"nonce": secrets.token_hex(16), "timestamp": str(int(time.time() * 1000))}
        return Request(f"/v3/alipay/trade/{verb.replace('.', '/')}", body, headers, fields)

    async def send(self, request: Request, *, authorization: str | None = None) -> httpx.Response:
        """Sign and send."""
        header = self.authorization(request) if authorization is None else authorization
        headers = request.headers | ({"authorization": header} if header else {})
        return await self.client.request(
            request.method, request.path, content=request.body, headers=headers
        )

    def authorization(self, request: Request) -> str:
        """The header over this request."""
        text = ",".join(f"{name}={value}" for name, value in request.fields.items())
        lines = [text, request.method, request.path]
        content = "".join(f"{line}\n" for line in lines).encode() + request.body + b"\n"
        if token := request.headers.get("alipay-app-auth-token"):
            content += f"{token}\n".encode()
        pem = Path(self.twin.app["app_private_key_file"]).read_bytes()
        key = load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True)
        assert isinstance(key, rsa.RSAPrivateKey)
        signature = base64.b64encode(key.sign(content, padding.PKCS1v15(), hashes.SHA256()))
        return f"{SCHEME} {text},sign={signature.decode()}"

    async def call(
        self, verb: str, content: dict[str, Any], *, encrypted: bool = False
    ) -> tuple[int, dict[str, Any]]:
        """Call, verify the answer, and return status and content."""
        response = await self.send(self.request(verb, content, encrypted=encrypted))
        return response.status_code, self.opened(response)

    def opened(self, response: httpx.Response) -> dict[str, Any]:
        """The verified content of an answer; fails the test where Alipay did not sign it."""
        self.verify(response)
        if response.headers["content-type"] == "text/plain":
            decryptor = Cipher(self._algorithm(), modes.CBC(bytes(16))).decryptor()
            padded = decryptor.update(base64.b64decode(response.content)) + decryptor.finalize()
            return dict(json.loads(padded[: -padded[-1]]))
        assert response.headers["content-type"].startswith("application/json")
        return dict(response.json())

    def verify(self, response: httpx.Response) -> None:
        """Raise InvalidSignature unless Alipay signed exactly this answer."""
        headers = response.headers
        head = f"{headers['alipay-timestamp']}\n{headers['alipay-nonce']}\n"
        self.twin.verify(head.encode() + response.content + b"\n", headers["alipay-signature"])

    def _cipher(self, text: bytes) -> bytes:
        encryptor = Cipher(self._algorithm(), modes.CBC(bytes(16))).encryptor()
        return encryptor.update(pad(text)) + encryptor.finalize()

    def _algorithm(self) -> algorithms.AES:
        return algorithms.AES(base64.b64decode(self.twin.app["aes_key"]))


def code_of(response: httpx.Response) -> tuple[int, str]:
    """HTTP status and code of an error."""
    return response.status_code, response.json()["code"]
