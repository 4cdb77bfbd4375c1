"""The rules for the secondary fields of a business content (`biz_content`)."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.alipay.amounts import fen
from sandbox.alipay.errors import invalid_parameter

USER_ID = re.compile(r"2088[0-9]{12}")
OPEN_ID = re.compile(r"[0-9A-Za-z_\-]{1,128}")
SHORTEST_OPEN_ID = 16
# Texts that any method may bring, with the most characters each may have.
LENGTHS = {
    "body": 128,
    "operator_id": 28,
    "store_id": 32,
    "terminal_id": 32,
    "alipay_store_id": 32,
    "passback_params": 512,
    "merchant_order_no": 32,
    "quit_url": 400,
    "request_from_url": 256,
    "disable_pay_channels": 128,
    "enable_pay_channels": 128,
    "specified_channel": 128,
    "refund_reason": 256,
    "out_request_no": 64,
    "trade_no": 64,
    "out_trade_no": 64,
    "op_app_id": 32,
    "integration_type": 16,
    "timeout_express": 6,
    "qr_code_timeout_express": 6,
}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One field of a nested object: a text of at most `longest`, a sum in yuan, or a whole number.

    A `longest` of 0 is no text. `check` raises GatewayError.
    """

    name: str
    longest: int = 0
    required: bool = False
    check: Callable[[object, str], object] | None = None


def _count(value: object, field: str) -> int:
    if isinstance(value, bool) or not re.fullmatch(r"[1-9][0-9]{0,9}", str(value)):
        raise invalid_parameter(f"{field}格式错误")
    return int(str(value))


def _fen_or_nothing(value: object, field: str) -> int:
    return 0 if _is_nothing(value) else fen(value, field)


def _is_nothing(value: object) -> bool:
    return re.fullmatch(r"0(\.0{1,2})?", str(value)) is not None


GOODS = (
    Rule(name="goods_id", longest=64, required=True),
    Rule(name="goods_name", longest=256, required=True),
    Rule(name="quantity", required=True, check=_count),
    Rule(name="price", required=True, check=_fen_or_nothing),
    Rule(name="alipay_goods_id", longest=32),
    Rule(name="goods_category", longest=24),
    Rule(name="categories_tree", longest=128),
    Rule(name="body", longest=1000),
    Rule(name="show_url", longest=400),
)
ROYALTY = (
    Rule(name="trans_in", longest=28, required=True),
    Rule(name="amount", check=fen),
    Rule(name="trans_out", longest=28),
    Rule(name="royalty_type", longest=32),
    Rule(name="trans_in_type", longest=64),
    Rule(name="trans_out_type", longest=64),
    Rule(name="desc", longest=1000),
)
EXTENSION = (
    Rule(name="sys_service_provider_id", longest=64),
    Rule(name="hb_fq_num", longest=5),
    Rule(name="hb_fq_seller_percent", longest=3),
    Rule(name="card_type", longest=32),
    Rule(name="specified_seller_name", longest=32),
)
PROMOTION = (Rule(name="actual_order_time", longest=19),)
SUB_MERCHANT = (
    Rule(name="merchant_id", longest=16, required=True),
    Rule(name="merchant_type", longest=32),
)
SETTLEMENT = (
    Rule(name="trans_in_type", longest=64, required=True),
    Rule(name="trans_in", longest=64),
    Rule(name="amount", required=True, check=fen),
)
OBJECTS = {
    "extend_params": EXTENSION,
    "promo_params": PROMOTION,
    "sub_merchant": SUB_MERCHANT,
    "royalty_info": (Rule(name="royalty_type", longest=150),),
    "settle_info": (Rule(name="settle_period_time", longest=10),),
    "business_params": (),
    "ext_user_info": (Rule(name="name", longest=16), Rule(name="mobile", longest=20)),
    "agreement_sign_params": (),
}
LISTS = {
    ("goods_detail",): GOODS,
    ("refund_goods_detail",): (Rule(name="goods_id", longest=64, required=True),),
    ("refund_royalty_parameters",): ROYALTY,
    ("royalty_info", "royalty_detail_infos"): ROYALTY,
    ("settle_info", "settle_detail_infos"): SETTLEMENT,
}


def check_content(content: Mapping[str, Any]) -> None:
    """Refuse what is too long, of another type or does not add up; raises GatewayError."""
    for name, longest in LENGTHS.items():
        _check_text(content.get(name), name, longest)
    for name, rules in OBJECTS.items():
        if (inner := content.get(name)) is not None:
            _check_object(inner, name, rules)
    for path, rules in LISTS.items():
        for index, item in enumerate(_items(content, path)):
            _check_object(item, f"{'.'.join(path)}[{index}]", rules)
    _check_sums(content)


def check_buyer(content: Mapping[str, Any], shortest_open_id: int) -> None:
    """Refuse a buyer whom nobody can be; raises GatewayError."""
    buyer_id, open_id = content.get("buyer_id"), content.get("buyer_open_id")
    if buyer_id and not (isinstance(buyer_id, str) and USER_ID.fullmatch(buyer_id)):
        raise invalid_parameter("buyer_id")
    if not open_id:
        return
    fits = isinstance(open_id, str) and OPEN_ID.fullmatch(open_id)
    if not fits or len(open_id) < shortest_open_id:
        raise invalid_parameter("buyer_open_id")


def is_json_object(text: object) -> bool:
    """Return whether the text is a JSON object."""
    try:
        return isinstance(text, str) and isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _check_sums(content: Mapping[str, Any]) -> None:
    total = content.get("total_amount") or content.get("refund_amount")
    if total is None:
        return
    whole = fen(total, "total_amount")
    parts = [content.get(name) for name in ("discountable_amount", "undiscountable_amount")]
    sums = [_fen_or_nothing(part, "discountable_amount") for part in parts if part]
    if (all(parts) and sum(sums) != whole) or sum(sums) > whole:
        raise invalid_parameter("可打折金额与不可打折金额之和应等于订单总金额")
    for path in (("royalty_info", "royalty_detail_infos"), ("refund_royalty_parameters",)):
        shared = [item["amount"] for item in _items(content, path) if item.get("amount")]
        if sum(fen(amount, "amount") for amount in shared) > whole:
            raise invalid_parameter("分账金额之和超出总金额")
    settled = [item["amount"] for item in _items(content, ("settle_info", "settle_detail_infos"))]
    if settled and sum(fen(amount, "amount") for amount in settled) != whole:
        raise invalid_parameter("结算金额之和与订单总金额不符")


def _items(content: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    inner: Any = content
    for name in path:
        inner = inner.get(name)
        if inner is None:
            return
    if not isinstance(inner, list):
        raise invalid_parameter(".".join(path))
    yield from inner


def _check_object(value: object, path: str, rules: tuple[Rule, ...]) -> None:
    if not isinstance(value, dict):
        raise invalid_parameter(path)
    for rule in rules:
        inner, name = value.get(rule.name), f"{path}.{rule.name}"
        if inner in (None, ""):
            if rule.required:
                raise invalid_parameter(f"{name}不能为空")
            continue
        if rule.longest:
            _check_text(inner, name, rule.longest)
        if rule.check:
            rule.check(inner, name)


def _check_text(value: object, name: str, longest: int) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, str | int) or len(str(value)) > longest:
        raise invalid_parameter(name)
