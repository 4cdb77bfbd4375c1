import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sandbox.incoming import Incoming
from sandbox.strictness import Strictness
from sandbox.wechatpay import signing
from sandbox.wechatpay.errors import ApiError
from sandbox.wechatpay.keys import Merchant, comparable

SCHEME = "WECHATPAY2-SHA256-RSA2048"
FIELD = re.compile(r'([a-z_]+)="([!#-~]+)"')
FIELDS = {"mchid", "nonce_str", "timestamp", "serial_no", "signature"}
NONCE_LENGTH = 32
WINDOW = timedelta(minutes=5)


@dataclass(frozen=True)
class Credentials:
    """The five fields of an `Authorization` header."""

    mchid: str
    nonce_str: str
    timestamp: str
    serial_no: str
    signature: str


class Door:
    """Lets signed requests of known merchants in, each at most once unless `strictness` is off."""

    def __init__(self, merchants: Mapping[str, Merchant], strictness: Strictness) -> None:
        self._merchants = merchants
        self._strictness = strictness
        self._seen: dict[tuple[str, str], datetime] = {}

    def admit(self, request: Incoming, now: datetime) -> Merchant:
        """The merchant who signed this request; raises ApiError."""
        _check_headers(request)
        credentials = parse(request.headers.get("authorization", ""))
        if not _is_fresh(credentials.timestamp, now):
            raise ApiError(
                "SIGN_ERROR", "Http头Authorization中的timestamp与发起请求的时间不得超过5分钟"
            )
        merchant = self._merchants.get(credentials.mchid)
        if merchant is None or comparable(credentials.serial_no) != comparable(
            merchant.merchant_serial
        ):
            raise ApiError("SIGN_ERROR", "商户证书序列号有误。请使用签名私钥匹配的证书序列号")
        content = signed_content(request, credentials)
        if not signing.is_signed(merchant.merchant_key, content, credentials.signature):
            raise _not_matching(request, credentials, content)
        self._remember(credentials, now)
        return merchant

    def _remember(self, credentials: Credentials, now: datetime) -> None:
        while self._seen and now - next(iter(self._seen.values())) > 2 * WINDOW:
            del self._seen[next(iter(self._seen))]
        key = (credentials.mchid, credentials.nonce_str)
        if key in self._seen and self._strictness.holds("wechatpay_repeated_nonce"):
            raise ApiError("SIGN_ERROR", "Http头Authorization中的nonce_str重复，请勿重放请求")
        self._seen[key] = now


def parse(header: str) -> Credentials:
    """Read the header strictly: the scheme, then each field exactly once, in any order."""
    scheme, _, rest = header.partition(" ")
    pairs = [FIELD.fullmatch(part) for part in rest.split(",")]
    fields = {match[1]: match[2] for match in pairs if match}
    fits = len(pairs) == len(fields) == len(FIELDS) and set(fields) == FIELDS
    if scheme != SCHEME or not fits or len(fields["nonce_str"]) > NONCE_LENGTH:
        raise ApiError(
            "SIGN_ERROR",
            "Http头Authorization值格式错误，请参考《微信支付商户REST API签名规则》",
        )
    return Credentials(**fields)


def signed_content(request: Incoming, credentials: Credentials) -> bytes:
    """The five lines that the merchant signs."""
    return signing.message(
        request.method.encode(),
        request.target,
        credentials.timestamp.encode(),
        credentials.nonce_str.encode(),
        request.body,
    )


def _is_fresh(timestamp: str, now: datetime) -> bool:
    if not re.fullmatch(r"[0-9]{1,12}", timestamp):
        return False
    return abs(now.timestamp() - int(timestamp)) <= WINDOW.total_seconds()


def _check_headers(request: Incoming) -> None:
    accept = request.headers.get("accept", "")
    if not accept or not request.headers.get("user-agent"):
        raise ApiError("PARAM_ERROR", "Http头缺少Accept或User-Agent")
    if not any(kind in accept for kind in ("application/json", "*/*")):
        raise ApiError("PARAM_ERROR", "Http头Accept应为application/json或*/*")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method == "POST" and kind != "application/json":
        raise ApiError("PARAM_ERROR", "Http头Content-Type应为application/json")


def _not_matching(request: Incoming, credentials: Credentials, content: bytes) -> ApiError:
    url = request.target.decode("ascii", "replace")
    return ApiError(
        "SIGN_ERROR",
        detail={
            "field": "signature",
            "location": "authorization",
            "detail": {"issue": "sign not match"},
            "sign_information": {
                "method": request.method,
                "url": url,
                "truncated_sign_message": f"{request.method}\n{url}\n{credentials.timestamp}\n",
                "sign_message_length": len(content),
            },
        },
    )
