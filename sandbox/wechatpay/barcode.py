from typing import Any

from sandbox.books import Order, Refund
from sandbox.context import Context
from sandbox.wechatpay import fields
from sandbox.wechatpay.answers import Reply
from sandbox.wechatpay.call import PROVIDER, Call, own_order
from sandbox.wechatpay.errors import ApiError
from sandbox.wechatpay.orders import check_reentry, new_order
from sandbox.wechatpay.payer import Payer
from sandbox.wechatpay.views import total, transaction

PASSWORD_SECONDS = 5.0
# The last four digits of the payer's barcode decide what happens; any other code pays at once.
MAGIC_PENDING = {"0001": "paid", "0002": "failed", "0003": "pending"}
MAGIC_REFUSALS = {"0004": "NOT_ENOUGH", "0005": "AUTHCODEEXPIRE", "0006": "AUTH_CODE_INVALID"}
MAGIC_UNKNOWN = {"0007": "SYSTEM_ERROR", "0008": "BANK_ERROR"}


class Barcode:
    """The merchant scans the payer's code: paid at once, pending, refused, or reversed."""

    def __init__(self, context: Context, appid: str, payer: Payer) -> None:
        self._context = context
        self._appid = appid
        self._payer = payer

    def pay(self, call: Call) -> Reply:
        """`POST /v3/pay/transactions/codepay`."""
        fields.check(call.body, fields.BY_CHANNEL["codepay"])
        _check_scene(call.body["scene_info"])
        call.check_mchid()
        call.check_appid(self._appid)
        reference = call.body["out_trade_no"]
        known = self._context.books.get_order(PROVIDER, call.merchant.mchid, reference)
        if known:
            check_reentry(known, "codepay", call.body)
            return self._answer(known)
        order = new_order(call, "codepay", self._context.clock.now())
        code, books = call.body["payer"]["auth_code"], self._context.books
        if books.is_code_used(PROVIDER, code, order.merchant, reference):
            raise ApiError("INVALID_REQUEST", "每个二维码仅限使用一次，请刷新再试")
        books.use_code(order, code)
        return self._charge(order, call)

    def reverse(self, call: Call) -> Reply:
        """`POST …/out-trade-no/{out_trade_no}/reverse`: money taken goes back, all of it."""
        fields.check(call.body, fields.REVERSE)
        call.check_mchid()
        call.check_appid(self._appid)
        order = own_order(self._context, call)
        if order.channel != "codepay":
            raise ApiError("INVALID_REQUEST", "仅付款码支付订单支持撤销")
        if order.status == "REFUND":
            raise ApiError("TRADE_ERROR", "订单已退款，不允许撤销")
        self._revoke(order)
        names = {"appid": order.app_id, "mchid": order.merchant, "out_trade_no": order.reference}
        return Reply(200, names)

    def _charge(self, order: Order, call: Call) -> Reply:
        magic = call.body["payer"]["auth_code"][-4:]
        params = call.params("pending")
        then = MAGIC_PENDING.get(magic) if params is None else params.get("then", "paid")
        if then:
            order.status = "USERPAYING"
            order.extra["pending"] = {
                "since": order.created_at.isoformat(),
                "seconds": (params or {}).get("seconds", PASSWORD_SECONDS),
                "then": then,
            }
            self._context.books.put_order(order)
        elif code := MAGIC_REFUSALS.get(magic):
            order.status, order.extra["refusal"] = "PAYERROR", code
            self._context.books.put_order(order)
        else:
            self._payer.capture(order)
        if code := MAGIC_UNKNOWN.get(magic):
            raise ApiError(code)
        return self._answer(order)

    def _answer(self, order: Order) -> Reply:
        if order.status == "USERPAYING":
            raise ApiError("USERPAYING")
        if order.status == "PAYERROR":
            raise ApiError(order.extra.get("refusal", "TRADE_ERROR"))
        return Reply(200, transaction(order))

    def _revoke(self, order: Order) -> None:
        now = self._context.clock.now()
        was_paid, order.status = order.status == "SUCCESS", "REVOKED"
        order.closed_at = order.closed_at or now
        if not was_paid:
            self._context.books.put_order(order)
            return
        order.refunded = total(order)
        # A colon cannot be in a merchant's number, so this one is never taken.
        reversal = Refund(
            provider=PROVIDER,
            merchant=order.merchant,
            reference=order.reference,
            refund_reference=f"reverse:{order.reference}",
            amount=order.refunded,
            status="SUCCESS",
            created_at=now,
            done_at=now,
        )
        self._context.books.settle_refund(reversal, order, now)


def _check_scene(scene: dict[str, Any]) -> None:
    store = scene.get("store_info") or {}
    if not (scene.get("device_id") or store.get("id") or store.get("out_id")):
        raise fields.refused("scene_info.store_info", "", "必填性规则校验失败，此字段为必填项")
