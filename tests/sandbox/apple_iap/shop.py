"""An app's developer, written from the protocol alone: it shares no code with either side."""

import base64
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import load_pem_private_key

LEAF = x509.ObjectIdentifier("1.2.840.113635.100.6.11.1")
MIDDLE = x509.ObjectIdentifier("1.2.840.113635.100.6.2.1")
Claims = dict[str, Any]


def packed(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unpacked(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def claims_of(jws: str) -> Claims:
    """What a JWS says, whoever signed it."""
    claims: Claims = json.loads(unpacked(jws.split(".")[1]))
    return claims


def header_of(jws: str) -> Claims:
    header: Claims = json.loads(unpacked(jws.split(".", maxsplit=1)[0]))
    return header


@dataclass
class AppStoreShop:
    """One app of the manifest, with everything needed to call and to verify."""

    client: httpx.AsyncClient
    section: Claims

    @property
    def app(self) -> Claims:
        app: Claims = self.section["apps"]["main"]
        return app

    def key(self) -> ec.EllipticCurvePrivateKey:
        key = load_pem_private_key(Path(self.app["private_key_file"]).read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key

    def token(
        self,
        *,
        key: ec.EllipticCurvePrivateKey | None = None,
        header: Claims | None = None,
        **changes: object,
    ) -> str:
        """A developer's token; `changes` replace or (None) drop claims."""
        now = int(time.time())
        usual: Claims = {
            "iss": self.app["issuer_id"],
            "iat": now,
            "exp": now + 300,
            "aud": "appstoreconnect-v1",
            "bid": self.app["bundle_id"],
        }
        claims = {name: value for name, value in (usual | changes).items() if value is not None}
        head = {"alg": "ES256", "kid": self.app["key_id"], "typ": "JWT"} | (header or {})
        signed = ".".join(packed(json.dumps(part).encode()) for part in (head, claims))
        der = (key or self.key()).sign(signed.encode(), ec.ECDSA(hashes.SHA256()))
        r, s = decode_dss_signature(der)
        return f"{signed}.{packed(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    async def call(
        self, method: str, path: str, *, token: str | None = None, **more: Any
    ) -> httpx.Response:
        """Call the API of the sandbox environment."""
        headers = {"authorization": f"Bearer {token or self.token()}"}
        url = f"{self.section['base_url']}/inApps{path}"
        return await self.client.request(method, url, headers=headers, **more)

    async def get(self, path: str, **query: Any) -> Claims:
        """The content of a good answer."""
        return good(await self.call("GET", path, params=query))

    async def transaction(self, transaction_id: str) -> Claims:
        """Get Transaction Info, verified."""
        answer = await self.get(f"/v1/transactions/{transaction_id}")
        return self.verified(answer["signedTransactionInfo"])

    async def history(self, **asked: Any) -> list[Claims]:
        """The verified notifications of the last hour, with their `sendAttempts`, page by page."""
        now = int(time.time() * 1000)
        body = {"startDate": now - 3_600_000, "endDate": now + 60_000} | asked
        found: list[Claims] = []
        query: Claims = {}
        while True:
            path = "/v1/notifications/history"
            answer = good(await self.call("POST", path, params=query, json=body))
            found += [
                self.verified(item["signedPayload"]) | {"sendAttempts": item["sendAttempts"]}
                for item in answer["notificationHistory"]
            ]
            if not answer["hasMore"]:
                return found
            query = {"paginationToken": answer["paginationToken"]}

    def verified(self, jws: str) -> Claims:
        """The claims; AssertionError unless the App Store signed them."""
        assert self.is_genuine(jws), claims_of(jws)
        return claims_of(jws)

    def notified(self, request: httpx.Request) -> Claims:
        """A notification whose every signature holds, the inner ones opened."""
        body = json.loads(request.content)
        assert list(body) == ["signedPayload"]
        payload = self.verified(body["signedPayload"])
        for name in ("signedTransactionInfo", "signedRenewalInfo"):
            if name in payload.get("data", {}):
                payload["data"][name] = self.verified(payload["data"][name])
        return payload

    def is_genuine(self, jws: str) -> bool:
        """Whether algorithm, chain, object identifiers, validity and signature hold."""
        header = header_of(jws)
        if header["alg"] != "ES256" or len(header.get("x5c", ())) != 3:
            return False
        chain = [x509.load_der_x509_certificate(base64.b64decode(item)) for item in header["x5c"]]
        root = Path(self.section["root_certificate_file"]).read_bytes()
        claims = claims_of(jws)
        signed_at = claims.get("signedDate") or claims["receiptCreationDate"]
        at = datetime.fromtimestamp(signed_at / 1000, UTC)
        return _chain_holds(chain[:2], x509.load_der_x509_certificate(root), at) and _signed(
            jws, chain[0]
        )


def _chain_holds(chain: list[x509.Certificate], root: x509.Certificate, at: datetime) -> bool:
    leaf, middle = chain
    try:
        leaf.verify_directly_issued_by(middle)
        middle.verify_directly_issued_by(root)
        leaf.extensions.get_extension_for_oid(LEAF)
        middle.extensions.get_extension_for_oid(MIDDLE)
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return all(
        item.not_valid_before_utc <= at <= item.not_valid_after_utc for item in (leaf, middle, root)
    )


def _signed(jws: str, leaf: x509.Certificate) -> bool:
    signed, _, signature = jws.rpartition(".")
    raw, key = unpacked(signature), leaf.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    try:
        key.verify(der, signed.encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def good(response: httpx.Response) -> Claims:
    """The content of an answer that must be good."""
    assert response.is_success, response.text
    content: Claims = response.json()
    return content
