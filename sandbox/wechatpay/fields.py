# What a request body must look like. The words of the answers are WeChat Pay's own: lengths are
# counted in bytes, `detail.value` holds the length or the value that broke the rule.
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from sandbox.wechatpay.errors import ApiError

NUMBER = re.compile(r"[0-9A-Za-z_\-|*]+")
REFUND_NUMBER = re.compile(r"[0-9A-Za-z_\-|*@]+")
URL = re.compile(r"https?://([^\s/?#\[\]@]+@)?([^\s/?#@:]+)(?::\d{2,5})?([^\s?#\[\]]*)")
# RFC 3339, section 5.6.
TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
LARGEST = 10**12
ADDRESS = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
OPENID = re.compile(r"o[0-9A-Za-z_\-]{27}")
AUTH_CODE = re.compile(r"1[0-5]\d{16}")


@dataclass(frozen=True, kw_only=True)
class Field:
    """The rule for the value at a dotted `path`; lengths are bytes, `least` is for numbers.

    A required field inside an optional object is only required where the object is there.
    A name that ends in `[]` stands for every object of that list.
    """

    path: str
    kind: type = str
    required: bool = False
    shortest: int = 1
    longest: int = 0
    pattern: re.Pattern[str] | None = None
    allowed: tuple[str, ...] = ()
    least: int | None = None


GOODS_NAMES = (
    Field(path="merchant_goods_id", required=True, longest=32),
    Field(path="wechatpay_goods_id", longest=32),
    Field(path="goods_name", longest=256),
)


def _within(parent: str, rules: tuple[Field, ...]) -> tuple[Field, ...]:
    return tuple(replace(rule, path=f"{parent}.{rule.path}") for rule in rules)


AMOUNT = (
    Field(path="amount", kind=dict, required=True),
    Field(path="amount.total", kind=int, required=True, least=1),
    Field(path="amount.currency", allowed=("CNY",)),
)
ORDER = (
    Field(path="appid", required=True, longest=32),
    Field(path="mchid", required=True, longest=32),
    Field(path="description", required=True, longest=127),
    Field(path="out_trade_no", required=True, shortest=6, longest=32, pattern=NUMBER),
    Field(path="attach", longest=128),
    Field(path="goods_tag", longest=32),
    Field(path="support_fapiao", kind=bool),
    Field(path="settle_info", kind=dict),
    Field(path="settle_info.profit_sharing", kind=bool),
    *AMOUNT,
    Field(path="detail", kind=dict),
    Field(path="detail.cost_price", kind=int),
    Field(path="detail.invoice_id", longest=32),
    Field(path="detail.goods_detail", kind=list),
    *_within("detail.goods_detail[]", GOODS_NAMES),
    Field(path="detail.goods_detail[].quantity", kind=int, required=True, least=1),
    Field(path="detail.goods_detail[].unit_price", kind=int, required=True, least=0),
    Field(path="scene_info.payer_client_ip", longest=45, pattern=ADDRESS),
    Field(path="scene_info.device_id", longest=32),
    Field(path="scene_info.store_info", kind=dict),
    Field(path="scene_info.store_info.name", longest=256),
    Field(path="scene_info.store_info.area_code", longest=32),
    Field(path="scene_info.store_info.address", longest=512),
)
PREPAY = (
    *ORDER,
    Field(path="time_expire", longest=64, pattern=TIME),
    Field(path="notify_url", required=True, longest=255, pattern=URL),
    Field(path="scene_info.payer_client_ip", required=True, longest=45),
    Field(path="scene_info.store_info.id", required=True, longest=32),
)
SCENE = Field(path="scene_info", kind=dict)
BY_CHANNEL = {
    "app": (*PREPAY, SCENE),
    "native": (*PREPAY, SCENE),
    "jsapi": (
        *PREPAY,
        SCENE,
        Field(path="payer", kind=dict, required=True),
        Field(path="payer.openid", required=True, longest=128),
    ),
    "h5": (
        Field(path="scene_info", kind=dict, required=True),
        Field(path="scene_info.payer_client_ip", required=True, longest=45),
        Field(path="scene_info.h5_info", kind=dict, required=True),
        Field(
            path="scene_info.h5_info.type",
            required=True,
            longest=32,
            allowed=("Wap", "iOS", "Android"),
        ),
        Field(path="scene_info.h5_info.app_name", longest=64),
        Field(path="scene_info.h5_info.app_url", longest=128),
        Field(path="scene_info.h5_info.bundle_id", longest=128),
        Field(path="scene_info.h5_info.package_name", longest=128),
        *PREPAY,
    ),
    "codepay": (
        *ORDER,
        Field(path="payer", kind=dict, required=True),
        Field(path="payer.auth_code", required=True, longest=32, pattern=AUTH_CODE),
        Field(path="scene_info", kind=dict, required=True),
        Field(path="scene_info.device_ip", longest=45, pattern=ADDRESS),
        Field(path="scene_info.store_info.id", longest=32),
        Field(path="scene_info.store_info.out_id", longest=32),
    ),
}
REFUND = (
    Field(path="transaction_id", longest=32),
    Field(path="out_trade_no", shortest=6, longest=32, pattern=NUMBER),
    Field(path="out_refund_no", required=True, longest=64, pattern=REFUND_NUMBER),
    Field(path="reason", longest=80),
    Field(path="notify_url", longest=256, pattern=URL),
    Field(path="funds_account", allowed=("AVAILABLE", "UNSETTLED")),
    Field(path="amount", kind=dict, required=True),
    Field(path="amount.refund", kind=int, required=True, least=1),
    Field(path="amount.total", kind=int, required=True, least=1),
    Field(path="amount.currency", required=True, allowed=("CNY",)),
    Field(path="amount.from", kind=list),
    Field(path="amount.from[].account", required=True, allowed=("AVAILABLE", "UNAVAILABLE")),
    Field(path="amount.from[].amount", kind=int, required=True, least=1),
    Field(path="goods_detail", kind=list),
    *_within("goods_detail[]", GOODS_NAMES),
    Field(path="goods_detail[].unit_price", kind=int, required=True, least=0),
    Field(path="goods_detail[].refund_amount", kind=int, required=True, least=0),
    Field(path="goods_detail[].refund_quantity", kind=int, required=True, least=1),
)
ABNORMAL_REFUND = (
    Field(path="out_refund_no", required=True, longest=64, pattern=REFUND_NUMBER),
    Field(path="type", required=True, allowed=("USER_BANK_CARD", "MERCHANT_BANK_CARD")),
    Field(path="bank_type", longest=16),
    Field(path="bank_account", longest=1024),
    Field(path="real_name", longest=1024),
)
CLOSE = (Field(path="mchid", required=True, longest=32),)
REVERSE = (
    Field(path="appid", required=True, longest=32),
    Field(path="mchid", required=True, longest=32),
)


def check(body: dict[str, Any], rules: tuple[Field, ...]) -> None:
    """Raise PARAM_ERROR for the first rule that the body breaks."""
    for rule in rules:
        *parents, name = rule.path.split(".")
        for path, holder in _holders(body, parents):
            found = replace(rule, path=".".join((*path, name)))
            value = holder.get(name)
            if value is not None:
                _check_value(found, value)
            elif rule.required:
                raise refused(found.path, "", "必填性规则校验失败，此字段为必填项")


def _holders(
    holder: Any, parents: list[str], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Every object at the dotted way `parents`, with its path; items of a list by their index."""
    if not isinstance(holder, dict):
        return
    if not parents:
        yield path, holder
        return
    name, rest = parents[0].removesuffix("[]"), parents[1:]
    inner, path = holder.get(name), (*path, name)
    if not parents[0].endswith("[]"):
        yield from _holders(inner, rest, path)
        return
    for index, item in enumerate(inner if isinstance(inner, list) else ()):
        if not isinstance(item, dict):
            raise refused(".".join((*path, str(index))), item, "类型校验失败，应为dict")
        yield from _holders(item, rest, (*path, str(index)))


def refused(path: str, value: Any, issue: str, location: str = "body") -> ApiError:
    """The PARAM_ERROR about one field."""
    pointer = f"/{location}/{path.replace('.', '/')}"
    name = path.rsplit(".", 1)[-1]
    return ApiError(
        "PARAM_ERROR",
        f"输入源“{pointer}”映射到字段“{name}”{issue}",
        detail={"location": location, "field": pointer, "value": value},
    )


def _check_value(rule: Field, value: Any) -> None:
    if type(value) is not rule.kind:
        raise refused(rule.path, value, f"类型校验失败，应为{rule.kind.__name__}")
    if isinstance(value, str):
        _check_text(rule, value)
    if isinstance(value, int) and rule.least is not None and value < rule.least:
        raise refused(rule.path, value, f"数值规则校验失败，值小于最小值 {rule.least}")
    if isinstance(value, int) and value > LARGEST:
        raise refused(rule.path, value, f"数值规则校验失败，值大于最大值 {LARGEST}")


def _check_text(rule: Field, value: str) -> None:
    size = len(value.encode())
    if rule.longest and size > rule.longest:
        issue = f"字符串规则校验失败，字节数 {size}，大于最大值 {rule.longest}"
        raise refused(rule.path, size, issue)
    if size < rule.shortest:
        issue = f"字符串规则校验失败，字节数 {size}，小于最小值 {rule.shortest}"
        raise refused(rule.path, size, issue)
    if rule.pattern and not rule.pattern.fullmatch(value):
        issue = f"字符串规则校验失败，字符串必须匹配正则表达式“^{rule.pattern.pattern}$”"
        raise refused(rule.path, value, issue)
    if rule.allowed and value not in rule.allowed:
        issue = f"枚举规则校验失败，应为{'、'.join(rule.allowed)}之一"
        raise refused(rule.path, value, issue)
