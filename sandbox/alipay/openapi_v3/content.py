import json
from typing import Any

from sandbox.alipay.envelope import decrypted
from sandbox.alipay.errors import invalid, invalid_parameter
from sandbox.alipay.keys import App
from sandbox.incoming import Incoming


def is_encrypted(request: Incoming) -> bool:
    """Whether the request chose content encryption, and so has its answer encrypted."""
    return bool(request.headers.get("alipay-encrypt-type"))


def read_content(request: Incoming, app: App) -> dict[str, Any]:
    """The business content of a verified request, decrypted; raises GatewayError."""
    wanted = "text/plain" if is_encrypted(request) else "application/json"
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != wanted:
        raise invalid("invalid-content-type", f"Content-Type应为{wanted}")
    try:
        text = request.body.decode()
        if is_encrypted(request):
            params = {"encrypt_type": request.headers["alipay-encrypt-type"]}
            text = decrypted(text, params, app)
        content = json.loads(text or "{}")
    except ValueError as error:
        raise invalid("illegal-json", "请求内容不是合法的JSON") from error
    if not isinstance(content, dict):
        raise invalid("illegal-json", "请求内容不是合法的JSON")
    if not isinstance(content.get("notify_url", ""), str):
        raise invalid_parameter("notify_url")
    return content
