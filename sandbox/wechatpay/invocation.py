# What an app or a page hands to the WeChat client. The client refuses a wrong signature
# ("支付验证签名失败"), so the sandbox's phone does too.
import json
from typing import Any

from sandbox.side import ControlError
from sandbox.wechatpay import signing
from sandbox.wechatpay.keys import Merchant

APP_FIELDS = {"appid", "partnerid", "prepayid", "package", "noncestr", "timestamp", "sign"}
PAGE_FIELDS = {"appId", "timeStamp", "nonceStr", "package", "signType", "paySign"}


def parse(text: str) -> dict[str, Any]:
    """Read the parameters and check their shape; raises ControlError."""
    try:
        params = json.loads(text)
    except ValueError as error:
        raise ControlError("the client's parameters are not JSON", 422) from error
    if not isinstance(params, dict) or set(params) not in (APP_FIELDS, PAGE_FIELDS):
        raise ControlError("expected the seven fields of an app or the six of a page", 422)
    if not all(isinstance(value, str) for value in params.values()):
        raise ControlError("every parameter is a string, the timestamp too", 422)
    return params


def prepay_id(params: dict[str, Any]) -> str:
    """Which prepay id is to be paid."""
    return str(params.get("prepayid") or params["package"].removeprefix("prepay_id="))


def check(params: dict[str, Any], merchant: Merchant, appid: str) -> None:
    """Raise ControlError unless the merchant signed exactly these parameters."""
    if set(params) == APP_FIELDS:
        fixed = params["package"] == "Sign=WXPay" and params["partnerid"] == merchant.mchid
        names, signature = ("appid", "timestamp", "noncestr", "prepayid"), params["sign"]
    else:
        fixed = params["signType"] == "RSA" and params["package"].startswith("prepay_id=")
        names, signature = ("appId", "timeStamp", "nonceStr", "package"), params["paySign"]
    content = signing.message(*(params[name].encode() for name in names))
    if not fixed or params[names[0]] != appid:
        raise ControlError("商家参数格式有误: package, signType, partnerid or appid", 422)
    if not signing.is_signed(merchant.merchant_key, content, signature):
        raise ControlError("支付验证签名失败", 422)
