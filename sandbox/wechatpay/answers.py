import json
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sandbox.wechatpay import signing
from sandbox.wechatpay.certificates import new_key
from sandbox.wechatpay.keys import PlatformKey
from sandbox.wire_response import WireResponse

SIGNATURE_TYPE = "WECHATPAY2-SHA256-RSA2048"
PROBE = "WECHATPAY/SIGNTEST/"
# Their answers come from in front of the systems that can sign.
UNSIGNED_STATUSES = (401, 429, 500, 502, 503)


@dataclass(frozen=True)
class Reply:
    """A status and what goes into the body; None is an empty body."""

    status: int
    content: dict[str, Any] | None

    def body(self) -> bytes:
        """The bytes that are signed and sent."""
        return b"" if self.content is None else encode(self.content)


def encode(content: dict[str, Any]) -> bytes:
    """Compact JSON with Chinese characters as they are."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def signature_headers(
    key: PlatformKey, body: bytes, now: datetime, *, flaw: str | None = None
) -> dict[str, str]:
    """The `Wechatpay-…` headers of an answer or a notification.

    `flaw` spoils them: `signtest`, `bad_signature`, `foreign_key`, `stale`, `unknown_serial`.
    """
    late = 301 if flaw == "stale" else 0
    timestamp, nonce = str(int(now.timestamp()) - late), secrets.token_urlsafe(24)
    content = signing.message(timestamp.encode(), nonce.encode(), body)
    if flaw == "bad_signature":
        content += b" "
    signer = new_key() if flaw == "foreign_key" else key.key
    signature = signing.sign(signer, content)
    if flaw == "signtest":
        signature = PROBE + signing.sign(key.key, content + b" ")[len(PROBE) :]
    serial = secrets.token_hex(20).upper() if flaw == "unknown_serial" else key.serial
    return {
        "Wechatpay-Timestamp": timestamp,
        "Wechatpay-Nonce": nonce,
        "Wechatpay-Signature": signature,
        "Wechatpay-Serial": serial,
        "Wechatpay-Signature-Type": SIGNATURE_TYPE,
    }


def respond(
    reply: Reply, key: PlatformKey | None, now: datetime, *, flaw: str | None = None
) -> WireResponse:
    """The answer on the wire; without a key, or where nothing can sign, it is unsigned.

    `flaw` may also be `unsigned` or `garbled`: bytes that are signed and are not JSON.
    """
    body = reply.body()
    if flaw == "garbled":
        body = body[: len(body) // 2]
    # Third-party SDKs compare this value as a whole, and read it of a 204 too.
    kind = "application/json; charset=utf-8" if body else "application/json"
    headers = {"Request-ID": secrets.token_hex(16).upper(), "Content-Type": kind}
    if key and flaw != "unsigned" and reply.status not in UNSIGNED_STATUSES:
        headers |= signature_headers(key, body, now, flaw=flaw)
    return WireResponse(content=body, status_code=reply.status, headers=headers)
