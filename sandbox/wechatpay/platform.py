from typing import Any

from sandbox.wechatpay.answers import Reply
from sandbox.wechatpay.call import Call
from sandbox.wechatpay.certificates import certificate_pem
from sandbox.wechatpay.encryption import seal
from sandbox.wechatpay.errors import ApiError
from sandbox.wechatpay.keys import PlatformKey
from sandbox.wechatpay.views import moment


def list_certificates(call: Call) -> Reply:
    """`GET /v3/certificates`: every live platform certificate, sealed with the APIv3 key."""
    merchant = call.merchant
    if not merchant.certificates:
        raise ApiError(
            "RESOURCE_NOT_EXISTS",
            "无可用的平台证书，请在商户平台-API安全申请使用微信支付公钥。",
        )
    live = merchant.certificates[-2:]
    return Reply(200, {"data": [_listed(item, merchant.api_v3_key) for item in live]})


def echo(call: Call) -> Reply:
    """`POST /v3/security/echo`: proves that both signatures hold."""
    return Reply(200, call.body)


# Other products of WeChat Pay, by the beginning of their paths after `/v3/`.
OTHER_PRODUCTS = (
    "apply4sub",
    "bill",
    "brand",
    "businesscircle",
    "capital",
    "combine-transactions",
    "complaint",
    "ecommerce",
    "fund-app",
    "global",
    "goldplan",
    "marketing",
    "merchant",
    "merchant-service",
    "new-tax-control-fapiao",
    "parking",
    "partner-transfer",
    "pay/partner",
    "papay",
    "payscore",
    "profitsharing",
    "smartguide",
    "transfer",
    "vehicle",
)


def no_such_resource(call: Call) -> Reply:
    """Every path that the sandbox does not know: products not granted, and nothing at all."""
    path = call.path.get("rest", "")
    if any(f"{path}/".startswith(f"{product}/") for product in OTHER_PRODUCTS):
        raise ApiError("NO_AUTH", f"商户号未开通该产品权限: /v3/{path}")
    raise ApiError("RESOURCE_NOT_EXISTS", f"no such resource in the sandbox: {path}")


def _listed(item: PlatformKey, api_v3_key: str) -> dict[str, Any]:
    if item.certificate is None:
        raise TypeError("only certificates are listed")
    return {
        "serial_no": item.serial,
        "effective_time": moment(item.certificate.not_valid_before_utc),
        "expire_time": moment(item.certificate.not_valid_after_utc),
        "encrypt_certificate": seal(api_v3_key, certificate_pem(item.certificate), "certificate"),
    }
