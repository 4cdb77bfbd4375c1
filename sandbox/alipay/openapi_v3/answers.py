"""The answers of OpenAPI v3: HTTP statuses, flat error bodies, and the signature's headers.

Sources: open-v3/054fcv (statuses and codes), 054d0z (the signature), and answers of the real
gateway: an error has `code` and `message`, a common one `links`; `links` of business errors and a
field `details` are in none of them.
"""

import secrets
from dataclasses import dataclass
from typing import Any

from sandbox.alipay.answers import AnswerWriter
from sandbox.alipay.keys import App
from sandbox.alipay.openapi_v3.authorization import SIGN_TYPE
from sandbox.alipay.signing import encrypt, sign
from sandbox.clock import Clock
from sandbox.wire_response import WireResponse

SUCCESS = "10000"
OK = 200
BAD_REQUEST = 400
STATUSES = {"20000": 500, "20001": 401, "40005": 429, "40006": 401}
COMMON_PREFIXES = ("isv.", "isp.", "aop.")
JSON_TYPE = "application/json;charset=UTF-8"
ENCRYPTED_TYPE = "text/plain"
ENVELOPE = ("code", "msg", "sub_code", "sub_msg")


@dataclass(frozen=True)
class V3Answers:
    """Writes and signs answers."""

    clock: Clock
    writer: AnswerWriter

    def executed(
        self, content: dict[str, Any], app: App, fault: str, *, encrypted: bool
    ) -> WireResponse:
        """An executed call's answer, or its error, from the content that `gateway.do` has.

        `fault` spoils the answer; errors are never encrypted, as the SDKs read them in plain text.
        """
        trace_id = secrets.token_hex(16)
        status, fields = translated(content, trace_id)
        text = self.writer.text(fields)
        kind = JSON_TYPE
        if encrypted and status == OK and app.aes_key:
            text, kind = encrypt(text.encode(), app.aes_key), ENCRYPTED_TYPE
        body = text.encode()
        headers = {"Content-Type": kind, "alipay-trace-id": trace_id}
        if fault != "unsigned":
            headers |= self._signature(body, app, spoiled=fault in ("bad_signature", "signtest"))
        if fault == "garbled":
            body = body[: len(body) // 2]
        return WireResponse(body, status, headers)

    def refused(
        self, content: dict[str, Any], app: App | None, status: int | None = None
    ) -> WireResponse:
        """A refusal before anything was executed; unsigned without an application."""
        trace_id = secrets.token_hex(16)
        usual, fields = translated(content, trace_id)
        body = self.writer.text(fields).encode()
        headers = {"Content-Type": JSON_TYPE, "alipay-trace-id": trace_id}
        if app is not None:
            headers |= self._signature(body, app)
        return WireResponse(body, status or usual, headers)

    def _signature(self, body: bytes, app: App, *, spoiled: bool = False) -> dict[str, str]:
        timestamp = str(int(self.clock.now().timestamp() * 1000))
        nonce = secrets.token_hex(16)
        data = f"{timestamp}\n{nonce}\n".encode() + body + (b" \n" if spoiled else b"\n")
        headers = {
            "alipay-timestamp": timestamp,
            "alipay-nonce": nonce,
            "alipay-signature": sign(data, app.alipay_key, SIGN_TYPE),
        }
        return headers | ({"alipay-sn": app.alipay_cert_sn} if app.alipay_cert_sn else {})


def translated(content: dict[str, Any], trace_id: str) -> tuple[int, dict[str, Any]]:
    """HTTP status and body of what `gateway.do` would have in its node.

    A waiting in-store payment keeps `code` 10003 and `msg`: no document says what v3 has.
    """
    code = content["code"]
    rest = {key: value for key, value in content.items() if key not in ENVELOPE}
    if "sub_code" not in content:
        return OK, rest if code == SUCCESS else content
    sub_code = content["sub_code"]
    error = {"code": sub_code, "message": content["sub_msg"]}
    if sub_code.startswith(COMMON_PREFIXES):
        link = f"https://open.alipay.com/api/errCheck?traceId={trace_id}"
        error |= {
            "code": sub_code.partition(".")[2],
            "links": [{"link": link, "desc": "解决方案"}],
        }
    return STATUSES.get(code, BAD_REQUEST), error | rest
