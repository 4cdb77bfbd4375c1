from datetime import datetime, timedelta
from typing import Any

from sandbox.books import Order
from sandbox.context import Context
from sandbox.wechatpay import fields
from sandbox.wechatpay.answers import Reply
from sandbox.wechatpay.call import PROVIDER, Call, own_order
from sandbox.wechatpay.checkouts import Checkouts
from sandbox.wechatpay.errors import ApiError
from sandbox.wechatpay.views import PAID_STATES, transaction

SHORTEST_LIFE = timedelta(minutes=1)


class Orders:
    """Placing an order for the payer to pay later, asking for it, closing it."""

    def __init__(self, context: Context, appid: str, checkouts: Checkouts) -> None:
        self._context = context
        self._appid = appid
        self._checkouts = checkouts

    def place(self, call: Call, channel: str) -> Reply:
        """`POST /v3/pay/transactions/{app|jsapi|native|h5}`."""
        fields.check(call.body, fields.BY_CHANNEL[channel])
        call.check_mchid()
        call.check_appid(self._appid)
        if channel == "jsapi" and self._context.strictness.holds("wechatpay_openid"):
            _check_openid(call.body["payer"]["openid"])
        order = self._known(call, channel) or self._new(call, channel)
        checkout = self._checkouts.issue(order)
        self._context.books.put_order(order)
        return Reply(200, checkout)

    def query(self, call: Call) -> Reply:
        """`GET …/id/{transaction_id}` and `GET …/out-trade-no/{out_trade_no}`."""
        call.check_mchid("query")
        return Reply(200, transaction(own_order(self._context, call)))

    def close(self, call: Call) -> Reply:
        """`POST …/out-trade-no/{out_trade_no}/close`."""
        fields.check(call.body, fields.CLOSE)
        call.check_mchid()
        order = own_order(self._context, call)
        if order.status in PAID_STATES:
            raise ApiError("ORDERPAID")
        if order.status == "CLOSED":
            raise ApiError("ORDER_CLOSED")
        if order.channel == "codepay":
            raise ApiError("INVALID_REQUEST", "付款码支付订单请使用撤销接口")
        order.status, order.closed_at = "CLOSED", self._context.clock.now()
        self._context.books.put_order(order)
        return Reply(204, None)

    def _known(self, call: Call, channel: str) -> Order | None:
        reference = call.body["out_trade_no"]
        order = self._context.books.get_order(PROVIDER, call.merchant.mchid, reference)
        if order is None:
            return None
        check_reentry(order, channel, call.body)
        return order

    def _new(self, call: Call, channel: str) -> Order:
        order = new_order(call, channel, self._context.clock.now())
        if order.expires_at and order.expires_at - order.created_at < SHORTEST_LIFE:
            raise fields.refused("time_expire", call.body["time_expire"], "应至少晚于当前时间1分钟")
        return order


def new_order(call: Call, channel: str, now: datetime) -> Order:
    """The order that a checked request asks for."""
    body = call.body
    time_expire = body.get("time_expire")
    # A goods tag stands for a promotion: the payer pays one fen less than the order's total.
    coupon = {"coupon": 1} if body.get("goods_tag") and body["amount"]["total"] > 1 else {}
    return Order(
        provider=PROVIDER,
        merchant=call.merchant.mchid,
        app_id=body["appid"],
        reference=body["out_trade_no"],
        amount=body["amount"]["total"],
        channel=channel,
        status="NOTPAY",
        subject=body["description"],
        created_at=now,
        payer=body.get("payer", {}).get("openid"),
        notify_url=body.get("notify_url"),
        request=body,
        expires_at=_parsed(time_expire) if time_expire else None,
        extra=coupon,
    )


def check_reentry(order: Order, channel: str, body: dict[str, Any]) -> None:
    """A known `out_trade_no` may only come back unchanged and unfinished; raises ApiError."""
    if order.channel != channel or order.app_id != body["appid"]:
        raise ApiError("OUT_TRADE_NO_USED")
    if order.status in PAID_STATES:
        raise ApiError("ORDERPAID")
    if order.status in ("CLOSED", "REVOKED"):
        raise ApiError("ORDER_CLOSED")
    if order.request != body:
        raise ApiError("INVALID_REQUEST", "请求重入时，参数与首次请求时不一致")


def _check_openid(openid: str) -> None:
    if not fields.OPENID.fullmatch(openid):
        raise ApiError("PARAM_ERROR", "无效的openid")


def _parsed(time_expire: str) -> datetime:
    try:
        return datetime.fromisoformat(time_expire.upper())
    except ValueError as error:
        raise fields.refused("time_expire", time_expire, "不是合法的时间") from error
