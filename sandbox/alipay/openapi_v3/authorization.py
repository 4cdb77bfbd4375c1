"""The `Authorization` header of OpenAPI v3, and all that is checked before a call is executed.

Sources: Alipay's rules for signatures (open-v3/054q58) and the official SDKs for Java and Node.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sandbox.alipay.envelope import check_certificates, find_app
from sandbox.alipay.errors import GatewayError, invalid, missing
from sandbox.alipay.keys import App, KeyRing
from sandbox.alipay.signing import is_signed
from sandbox.context import Context
from sandbox.incoming import Incoming

SCHEME = "ALIPAY-SHA256withRSA"
SIGN_TYPE = "RSA2"
WINDOW = timedelta(minutes=10)
NONCE_LENGTH = 128
MILLISECONDS = re.compile(r"[0-9]{1,15}")
SECONDS = re.compile(r"[0-9]{1,6}")


@dataclass(frozen=True)
class Credentials:
    """A parsed header: `text` is what stands before `,sign=` and is signed as it is."""

    text: str
    fields: Mapping[str, str]
    signature: str


class RequestVerifier:
    """Verifies requests of known applications, and each nonce only once."""

    def __init__(self, context: Context, keys: KeyRing) -> None:
        self._keys = keys
        self._clock = context.clock
        self._strictness = context.strictness
        self._seen: dict[tuple[str, str], datetime] = {}

    def application(self, credentials: Credentials) -> App:
        """The application that the header names; raises an unsigned GatewayError."""
        if not credentials.fields.get("timestamp"):
            raise missing("timestamp", "缺少时间戳参数")
        return find_app(credentials.fields, self._keys)

    def verify(self, request: Incoming, credentials: Credentials, app: App) -> None:
        """Check certificates, signature, permissions, time and nonce; raises GatewayError."""
        if not credentials.signature:
            raise missing("signature", "缺少签名参数")
        if app.sign_type != SIGN_TYPE:
            raise invalid("invalid-signature-type", "无效签名类型")
        root = request.headers.get("alipay-root-cert-sn", "")
        check_certificates({**credentials.fields, "alipay_root_cert_sn": root}, app)
        content = signed_content(request, credentials)
        if not is_signed(content, credentials.signature, app.public_key, SIGN_TYPE):
            raise invalid(
                "invalid-signature",
                "验签出错，建议检查签名字符串或签名私钥与应用公钥是否匹配，"
                f"网关生成的验签字符串为：{content.decode('utf-8', 'replace')}",
            )
        if request.headers.get("alipay-app-auth-token"):
            # Nobody has authorised these applications, so that no token can be genuine.
            raise GatewayError("20001", "aop.invalid-app-auth-token", "无效的应用授权令牌")
        self._check_time(credentials)
        self._check_nonce(credentials)

    def _check_time(self, credentials: Credentials) -> None:
        text = credentials.fields["timestamp"]
        if not MILLISECONDS.fullmatch(text):
            raise invalid("invalid-timestamp", "非法的时间戳参数")
        limit = WINDOW.total_seconds()
        if seconds := credentials.fields.get("expired_seconds"):
            if not SECONDS.fullmatch(seconds):
                raise _wrong_header("expired_seconds格式错误")
            limit = min(limit, int(seconds))
        age = abs(self._clock.now().timestamp() - int(text) / 1000)
        if age > limit and self._strictness.holds("alipay_v3_timestamp_window"):
            raise invalid("invalid-timestamp", "非法的时间戳参数，请求已过期")

    def _check_nonce(self, credentials: Credentials) -> None:
        nonce, now = credentials.fields.get("nonce", ""), self._clock.now()
        if not 1 <= len(nonce) <= NONCE_LENGTH:
            raise _wrong_header("nonce格式错误")
        # A call that is older than both ends of the window is refused for its timestamp.
        while self._seen and now - next(iter(self._seen.values())) > 2 * WINDOW:
            del self._seen[next(iter(self._seen))]
        key = (credentials.fields["app_id"], nonce)
        if key in self._seen and self._strictness.holds("alipay_v3_repeated_nonce"):
            raise _wrong_header("nonce重复，请勿重放请求")
        self._seen.setdefault(key, now)


def parse(header: str) -> Credentials:
    """Read the header: the scheme, `name=value` parts in any order, `sign` last.

    An absent header has no fields, as Alipay names the first that is missing. Raises GatewayError.
    """
    scheme, _, rest = header.partition(" ")
    if header and scheme != SCHEME:
        raise invalid("invalid-signature-type", "无效签名类型", signed=False)
    text, _, signature = rest.strip().partition(",sign=")
    pairs = [part.partition("=")[::2] for part in text.split(",") if part]
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise _wrong_header("Authorization参数重复", signed=False)
    return Credentials(text, fields, signature)


def signed_content(request: Incoming, credentials: Credentials) -> bytes:
    """The lines that the application signs; an authorisation token adds one."""
    lines = [credentials.text.encode(), request.method.encode(), request.target, request.body]
    if token := request.headers.get("alipay-app-auth-token"):
        lines.append(token.encode())
    return b"".join(line + b"\n" for line in lines)


def _wrong_header(reason: str, *, signed: bool = True) -> GatewayError:
    return invalid("invalid-parameter", reason, signed=signed)
