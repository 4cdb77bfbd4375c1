from dataclasses import dataclass, field
from typing import Any

from sandbox.books import Order
from sandbox.context import Context
from sandbox.faults import Fault
from sandbox.wechatpay.errors import ApiError
from sandbox.wechatpay.fields import refused
from sandbox.wechatpay.keys import Merchant

PROVIDER = "wechatpay"


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request whose signature holds, and the fault that is to happen in it."""

    merchant: Merchant
    path: dict[str, str]
    query: dict[str, str]
    body: dict[str, Any] = field(default_factory=dict)
    fault: Fault | None = None

    def check_mchid(self, location: str = "body") -> None:
        """The request must name the merchant who signed it; raises ApiError."""
        named = self.body.get("mchid") if location == "body" else self.query.get("mchid")
        if not named:
            raise refused("mchid", "", "必填性规则校验失败，此字段为必填项", location)
        if named != self.merchant.mchid:
            raise ApiError("PARAM_ERROR", "http header中的mchid与post payload中的mchid不匹配")

    def check_appid(self, appid: str) -> None:
        """The app must be bound to the merchant; raises ApiError."""
        if self.body.get("appid") != appid:
            raise ApiError("APPID_MCHID_NOT_MATCH")

    def params(self, kind: str) -> dict[str, Any] | None:
        """The fault's parameters if it is of this kind."""
        return self.fault.params if self.fault and self.fault.kind == kind else None


def own_order(context: Context, call: Call) -> Order:
    """The order that the path names, if it is this merchant's; raises ApiError."""
    transaction_id = call.path.get("transaction_id")
    if transaction_id is not None:
        order = context.books.order_by_provider_reference(PROVIDER, transaction_id)
    else:
        reference = call.path["out_trade_no"]
        order = context.books.get_order(PROVIDER, call.merchant.mchid, reference)
    if order is None or order.merchant != call.merchant.mchid:
        raise ApiError("ORDER_NOT_EXIST")
    return order
