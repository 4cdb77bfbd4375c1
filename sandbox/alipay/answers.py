import itertools
import json
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.alipay.envelope import charset_of
from sandbox.alipay.keys import App
from sandbox.alipay.signing import encrypt, sign
from sandbox.wire_response import WireResponse

METHOD_NAME = re.compile(r"[A-Za-z0-9._]{1,128}")
Writer = Callable[[dict[str, Any]], str]


def _escaped_slashes(content: dict[str, Any]) -> str:
    return _compact(content).replace("/", "\\/")


def _compact(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def _spaced(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False)


def _ascii(content: dict[str, Any]) -> str:
    return json.dumps(content, separators=(",", ":"))


def _reordered(content: dict[str, Any]) -> str:
    return _compact(dict(reversed(content.items())))


# A signature covers the node's text as it was written, so a client that parses and writes the
# node again must fail; every answer is written in the next of these ways.
WRITERS: tuple[Writer, ...] = (_compact, _escaped_slashes, _spaced, _ascii, _reordered)


class AnswerWriter:
    """Writes and signs the gateway's answers."""

    def __init__(self) -> None:
        self._writers = itertools.cycle(WRITERS)

    def text(self, content: dict[str, Any]) -> str:
        """The content as JSON, in the next of the ways to write it."""
        return next(self._writers)(content)

    def node(self, content: dict[str, Any], app: App | None, params: Mapping[str, str]) -> str:
        """The node's exact text: an object, or a quoted string where contents are encrypted."""
        text = self.text(content)
        if app is not None and app.aes_key and params.get("encrypt_type") == "AES":
            return f'"{encrypt(text.encode(charset_of(params)), app.aes_key)}"'
        return text

    def signed(self, node_name: str, node: str, app: App, params: Mapping[str, str]) -> str:
        """The whole body, signed over the node's text in the request's charset."""
        signature = sign(encoded(node, params), app.alipay_key, app.sign_type)
        return envelope(node_name, node, app, signature)


def envelope(node_name: str, node: str, app: App | None, signature: str | None) -> str:
    """Put the body together; the certificate's SN stands between node and signature."""
    parts = [f'"{node_name}":{node}']
    if app is not None and app.alipay_cert_sn and signature is not None:
        parts.append(f'"alipay_cert_sn":"{app.alipay_cert_sn}"')
    if signature is not None:
        parts.append(f'"sign":"{signature}"')
    return "{" + ",".join(parts) + "}"


def encoded(text: str, params: Mapping[str, str]) -> bytes:
    """The text's bytes in the charset that the request asked for."""
    return text.encode(charset_of(params))


def node_name(method: str) -> str:
    """Where the answer to a method stands; what is no name stands in `error_response`."""
    if not METHOD_NAME.fullmatch(method):
        return "error_response"
    return f"{method.replace('.', '_')}_response"


def response(body: bytes, params: Mapping[str, str]) -> WireResponse:
    """HTTP 200 whatever happened: the gateway speaks in codes."""
    charset = params.get("charset", "utf-8").lower()
    return WireResponse(
        body,
        headers={"Content-Type": f"text/html;charset={charset}", "trace_id": secrets.token_hex(16)},
    )
