"""How the official SDK is made to reach the sandbox, and nothing more.

Two of its faults stand in the way, and both are bridged below the SDK, never in what it signs:
- `WebUtils.get_http_connection` ignores the port of the gateway's address (and fails to build an
  address that has one), so its connections are led to the sandbox's port. It also puts the whole
  address where HTTP wants the path: proxies and most servers take that, uvicorn does not;
- `EncryptUtils` hands text to a cipher that takes bytes (a Python 2 habit), so the cipher gets the
  same text as bytes. Key, mode, vector, padding and the signature stay the SDK's.
"""

import http.client
import importlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from alipay.aop.api.AlipayClientConfig import AlipayClientConfig
from alipay.aop.api.DefaultAlipayClient import DefaultAlipayClient
from alipay.aop.api.util import EncryptUtils, WebUtils
from oracle import Sandbox

CIPHER = EncryptUtils.AES


class _Reached(http.client.HTTPConnection):
    sandbox_port = 0

    def __init__(self, host: str, port: int, timeout: float) -> None:  # noqa: ARG002 - always 80
        super().__init__(host, self.sandbox_port, timeout=timeout)

    def request(self, method: str, url: str, **content: Any) -> None:
        place = urlsplit(url)
        super().request(method, f"{place.path}?{place.query}", **content)


class _ByteCipher:
    """`Crypto.Cipher.AES` for a caller that gives it Latin text or UTF-8 text."""

    block_size = CIPHER.block_size
    MODE_CBC = CIPHER.MODE_CBC

    def __init__(self, key: bytes, mode: int, vector: str) -> None:
        self._cipher = CIPHER.new(key, mode, vector.encode())

    @classmethod
    def new(cls, key: bytes, mode: int, vector: str) -> "_ByteCipher":
        return cls(key, mode, vector)

    def encrypt(self, text: str) -> bytes:
        return bytes(self._cipher.encrypt(text.encode()))

    def decrypt(self, sealed: bytes) -> bytes:
        return bytes(self._cipher.decrypt(sealed))


def bridge_cipher() -> None:
    """Let the SDK encrypt on Python 3."""
    EncryptUtils.AES = _ByteCipher


def configuration(sandbox: Sandbox, app: str) -> AlipayClientConfig:
    """The SDK's configuration of one of the sandbox's apps, keys as text without a last newline."""
    alipay = sandbox.manifest["alipay"]
    keys = alipay["apps"][app]
    place = urlsplit(alipay["gateway_url"])
    _Reached.sandbox_port = place.port or 80
    WebUtils.httplib = SimpleNamespace(HTTPConnection=_Reached)
    config = AlipayClientConfig()
    config.server_url = f"http://{place.hostname}{place.path}"
    config.app_id = keys["app_id"]
    config.app_private_key = Path(keys["app_private_key_pkcs1_file"]).read_text().strip()
    config.alipay_public_key = Path(keys["alipay_public_key_file"]).read_text().strip()
    if keys["aes_key"]:
        config.encrypt_type, config.encrypt_key = "AES", keys["aes_key"]
    return config


class Client:
    """The SDK by method name: `call("trade.query", out_trade_no=…)`."""

    def __init__(self, config: AlipayClientConfig, notify_url: str) -> None:
        self.client = DefaultAlipayClient(config)
        self._notify_url = notify_url

    def request(self, name: str, **content: Any) -> Any:
        """The SDK's request object, its content through the SDK's own model class."""
        base = "Alipay" + "".join(word.capitalize() for word in name.split("."))
        model = _class(f"alipay.aop.api.domain.{base}Model")
        request = _class(f"alipay.aop.api.request.{base}Request")()
        request.biz_content = model.from_alipay_dict(content)
        request.notify_url = self._notify_url
        return request

    def call(self, name: str, **content: Any) -> dict[str, Any]:
        """Send; the SDK verifies the answer and raises ResponseException where it is not good."""
        return dict(json.loads(self.client.execute(self.request(name, **content))))

    def order_string(self, **content: Any) -> str:
        """For the phone."""
        return str(self.client.sdk_execute(self.request("trade.app.pay", **content)))

    def page(self, name: str, **content: Any) -> str:
        """For the browser: the address of a GET."""
        return str(self.client.page_execute(self.request(name, **content), http_method="GET"))


def _class(path: str) -> Any:
    return getattr(importlib.import_module(path), path.rpartition(".")[2])
