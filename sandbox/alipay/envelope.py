import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from sandbox.alipay.errors import GatewayError, invalid, missing
from sandbox.alipay.keys import App, KeyRing
from sandbox.alipay.products import is_offered
from sandbox.alipay.signing import canonical, decrypt, is_signed
from sandbox.clock import BEIJING
from sandbox.context import Context

CHARSETS = {"utf-8": "utf-8", "gbk": "gb18030", "gb2312": "gb18030", "gb18030": "gb18030"}
CALL_TOLERANCE_SECONDS = 15 * 60
CHECKOUT_TOLERANCE_SECONDS = 24 * 3600
CHECKOUT_METHODS = ("alipay.trade.app.pay", "alipay.trade.wap.pay", "alipay.trade.page.pay")


@dataclass(frozen=True, kw_only=True)
class Call:
    """A verified request. `content` is the parsed and decrypted `biz_content`."""

    app: App
    method: str
    params: Mapping[str, str]
    content: dict[str, Any]
    at: datetime


def is_asked(content: Mapping[str, Any], option: str) -> bool:
    """Whether the request's `query_options` name this part of the answer."""
    options = content.get("query_options")
    return isinstance(options, list) and option in options


def charset_of(params: Mapping[str, str]) -> str:
    """Python's name of the request's charset; unknown ones read as UTF-8 until refused."""
    return CHARSETS.get(params.get("charset", "utf-8").lower(), "utf-8")


def merge(query: str, body: bytes) -> dict[str, str]:
    """All parameters of the query and the form, decoded by `charset`; raises GatewayError."""
    text = f"{query}&{body.decode('latin-1')}"
    latin = dict(parse_qsl(text, keep_blank_values=True, encoding="latin-1"))
    try:
        pairs = parse_qsl(text, keep_blank_values=True, encoding=charset_of(latin), errors="strict")
    except UnicodeDecodeError as error:
        raise invalid("invalid-charset", "字符集错误", signed=False) from error
    params = dict(pairs)
    # Some SDKs say `charset` in the query and in the form; only a contradiction is refused.
    if any(params[key] != value for key, value in pairs):
        raise invalid("invalid-parameter", "参数重复", signed=False)
    return params


def find_app(params: Mapping[str, str], keys: KeyRing) -> App:
    """The calling application; without it nothing can be signed."""
    if not params.get("app_id"):
        raise missing("app-id", "缺少appId参数")
    if params["app_id"] not in keys.apps:
        raise invalid("invalid-app-id", "无效的AppID参数", signed=False)
    return keys.apps[params["app_id"]]


def verify(
    params: Mapping[str, str], app: App, methods: Mapping[str, Any], context: Context
) -> Call:
    """Check everything that the gateway checks before it looks at the business content."""
    method = params.get("method", "")
    if not method:
        raise missing("method", "缺少方法名参数")
    if method not in methods and not is_offered(method):
        raise invalid("invalid-method", "不存在的方法名")
    _check_signature(params, app)
    _check_permissions(params, methods)
    at = _check_timestamp(params, context)
    if not params.get("version"):
        raise missing("version", "缺少版本参数")
    if params["version"] != "1.0":
        raise invalid("invalid-parameter", "无效的版本参数")
    if params.get("format", "JSON").upper() != "JSON":
        raise invalid("invalid-format", "无效的数据格式")
    return Call(app=app, method=method, params=params, content=_content(params, app), at=at)


def _check_signature(params: Mapping[str, str], app: App) -> None:
    if not params.get("sign_type"):
        raise missing("signature-type", "缺少签名类型参数")
    if not params.get("sign"):
        raise missing("signature", "缺少签名参数")
    if params["sign_type"] != app.sign_type:
        raise invalid("invalid-signature-type", "无效签名类型")
    if params.get("charset", "utf-8").lower() not in CHARSETS:
        raise invalid("invalid-charset", "字符集错误")
    check_certificates(params, app)
    text = canonical(params, without=("sign",))
    data = text.encode(charset_of(params))
    if not is_signed(data, params["sign"], app.public_key, app.sign_type):
        echo = text.replace("&", "&amp;")
        raise invalid(
            "invalid-signature",
            "验签出错，建议检查签名字符串或签名私钥与应用公钥是否匹配，"
            f"网关生成的验签字符串为：{echo}",
        )


def check_certificates(params: Mapping[str, str], app: App) -> None:
    """Refuse serial numbers that are not the application's; raises GatewayError."""
    if app.mode == "certificate" and not params.get("app_cert_sn"):
        raise invalid("missing-app-cert-sn", "缺少应用公钥证书SN")
    if app.mode == "certificate" and not params.get("alipay_root_cert_sn"):
        raise invalid("missing-alipay-root-cert-sn", "缺少支付宝根证书SN")
    if params.get("app_cert_sn") and params["app_cert_sn"] != app.app_cert_sn:
        raise invalid("app-cert-not-exist", "应用公钥证书不存在")
    if params.get("alipay_root_cert_sn") and params["alipay_root_cert_sn"] != app.root_cert_sn:
        raise invalid("invalid-alipay-root-cert-sn", "支付宝根证书SN无效")


def _check_permissions(params: Mapping[str, str], methods: Mapping[str, Any]) -> None:
    # Nobody has authorised these applications, so that no token can be genuine.
    if params.get("app_auth_token"):
        raise GatewayError("20001", "aop.invalid-app-auth-token", "无效的应用授权令牌")
    if params.get("auth_token"):
        raise GatewayError("20001", "aop.invalid-auth-token", "无效的访问令牌")
    if params["method"] not in methods:
        raise GatewayError("40006", "isv.insufficient-isv-permissions", "ISV权限不足")


def _check_timestamp(params: Mapping[str, str], context: Context) -> datetime:
    if not params.get("timestamp"):
        raise missing("timestamp", "缺少时间戳参数")
    at = beijing_time(params["timestamp"])
    # An order string may lie on the phone for a while, a call from a server may not.
    checkout = params["method"] in CHECKOUT_METHODS
    tolerance = CHECKOUT_TOLERANCE_SECONDS if checkout else CALL_TOLERANCE_SECONDS
    is_off = at is not None and abs((context.clock.now() - at).total_seconds()) > tolerance
    if at is None or (is_off and context.strictness.holds("alipay_timestamp_window")):
        raise invalid("invalid-timestamp", "非法的时间戳参数")
    return at


def beijing_time(text: str) -> datetime | None:
    """Read `yyyy-MM-dd HH:mm:ss`, which is always Beijing time; None for anything else."""
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=BEIJING)
    except ValueError:
        return None


def _content(params: Mapping[str, str], app: App) -> dict[str, Any]:
    text = params.get("biz_content", "")
    if params.get("encrypt_type"):
        text = decrypted(text, params, app)
    try:
        content = json.loads(text)
    except ValueError as error:
        raise invalid("invalid-parameter", "biz_content不是合法的JSON") from error
    if not isinstance(content, dict):
        raise invalid("invalid-parameter", "biz_content不是合法的JSON")
    return content


def decrypted(text: str, params: Mapping[str, str], app: App) -> str:
    """Decrypt a content by `encrypt_type`, which must be AES; raises GatewayError."""
    if params["encrypt_type"] != "AES":
        raise invalid("decryption-error-not-valid-encrypt-type", "解密出错，不支持的加密算法")
    if app.aes_key is None:
        raise invalid("decryption-error-not-valid-encrypt-key", "解密出错, 未配置加密密钥")
    try:
        return decrypt(text, app.aes_key).decode(charset_of(params))
    except ValueError as error:
        raise invalid("decryption-error-unknown", "解密出错，未知异常") from error
