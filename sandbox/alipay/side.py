import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fastapi import APIRouter

from sandbox.alipay.answers import AnswerWriter
from sandbox.alipay.envelope import find_app, merge, verify
from sandbox.alipay.errors import GatewayError
from sandbox.alipay.execution import CALL_FAULTS, Execution
from sandbox.alipay.gateway import KNOWN, Gateway
from sandbox.alipay.keys import KeyRing
from sandbox.alipay.methods import CHECKOUTS, Methods
from sandbox.alipay.notices import NOTIFY_FAULTS, Herald
from sandbox.alipay.openapi_v3.gateway import OpenApiV3
from sandbox.alipay.payments import BarcodePayments
from sandbox.alipay.refunds import DONE, PROCESSING, Refunds
from sandbox.alipay.scenarios import DEMO
from sandbox.alipay.trades import PROVIDER, SHOWN, WAITING, Trades
from sandbox.books import Order, Refund
from sandbox.context import Context
from sandbox.faults import Fault
from sandbox.manifest import pick
from sandbox.side import ControlError, Message, Notice

# What Paysaga's configuration takes of the manifest; it refuses anything else.
ACCOUNT = (
    "app_id",
    "app_private_key_file",
    "alipay_public_key_file",
    "app_cert_file",
    "alipay_cert_file",
    "alipay_root_cert_file",
    "aes_key",
)


class AlipaySide:
    """Alipay as the rest of the sandbox sees it."""

    name = PROVIDER
    demo = DEMO
    pages: Mapping[str, str] = MappingProxyType({})
    ladder: tuple[float, ...] = (240.0, 600.0, 600.0, 3600.0, 7200.0, 21600.0, 54000.0)
    call_faults: tuple[str, ...] = CALL_FAULTS
    notify_faults: tuple[str, ...] = NOTIFY_FAULTS

    def __init__(self, context: Context) -> None:
        self._context = context
        self._keys = KeyRing(context.keys_dir)
        self._herald = Herald(context, self._keys)
        self._trades = Trades(context, self._keys.seller_id, self._herald)
        self._refunds = Refunds(self._trades)
        methods = Methods(self._trades, self._refunds, BarcodePayments(self._trades))
        execution, writer = Execution(context, methods), AnswerWriter()
        self._gateway = Gateway(context, self._keys, execution, writer)
        self._openapi_v3 = OpenApiV3(context, self._keys, execution, writer)

    def router(self) -> APIRouter:
        """The gateway's two addresses, and those of OpenAPI v3."""
        router = self._gateway.router()
        router.include_router(self._openapi_v3.router())
        return router

    def manifest(self) -> dict[str, Any]:
        """Both gateways, seller and applications."""
        return {
            "openapi_url": self._context.base_url,
            "gateway_url": f"{self._context.base_url}/alipay/gateway.do",
            "seller_id": self._keys.seller_id,
            "apps": self._keys.manifest(),
        }

    def accounts(self) -> list[dict[str, Any]]:
        """Every application that signs by RSA2."""
        manifest = self.manifest()
        shared = {key: manifest[key] for key in ("gateway_url", "seller_id")}
        # Paysaga signs by RSA2 only.
        apps = {name: app for name, app in manifest["apps"].items() if app["sign_type"] != "RSA"}
        return [{"name": name} | shared | pick(app, ACCOUNT) for name, app in apps.items()]

    def links(self) -> dict[str, str]:
        """Its interface."""
        return {"Alipay gateway": self.manifest()["gateway_url"]}

    def open_checkout(self, checkout: str) -> Order:
        """What the phone does with an order string, and a browser or scanner with a URL."""
        cashier = f"{self._context.base_url}/cashier/{PROVIDER}/"
        if checkout.startswith(cashier):
            return self._scanned(checkout.removeprefix(cashier))
        if checkout.startswith("{"):
            return self._called_by_mini_program(checkout)
        query = checkout.partition("?")[2] if checkout.startswith("http") else checkout
        try:
            params = merge(query, b"")
            call = verify(params, find_app(params, self._keys), KNOWN, self._context)
            if call.method not in CHECKOUTS:
                raise ControlError(f"{call.method} is not a checkout", 422)
            return self.open(self._gateway.show(call))
        except GatewayError as error:
            raise ControlError(f"{error.sub_code}: {error.sub_msg}", 422) from error

    def open(self, order: Order) -> Order:
        """The trade comes into being."""
        order = self._trades.refresh(order)
        if order.status == SHOWN and self._trades.is_expired(order):
            raise ControlError("the order has expired")
        return self._trades.open(order)

    def pay(self, order: Order, *, notify: bool = True, amount: int | None = None) -> Order:
        """The payer pays; `amount` makes Alipay report another sum than was asked for."""
        order = self._payable(order)
        order.extra.pop("pending", None)
        paid = order.amount if amount is None else amount
        return self._trades.pay(order, paid, notify=notify)

    def decline(self, order: Order, *, notify: bool = True) -> Order:
        """A refused attempt leaves the trade waiting; a code at the till ends it."""
        order = self._payable(order)
        order.extra.pop("pending", None)
        if order.channel == "pay":
            return self._trades.close(order, notify=notify)
        self._context.books.put_order(order)
        return order

    def cancel(self, order: Order, *, notify: bool = True) -> Order:
        """Walking away changes nothing at Alipay: the trade waits until its time is over."""
        return self.decline(order, notify=notify)

    def return_url(self, order: Order) -> str | None:
        """The signed synchronous return, for payments in a browser."""
        return self._herald.return_url(order)

    def complete_refund(self, refund: Refund, status: str) -> Refund:
        """End a refund in flight: `SUCCESS` moves the money, anything else fails it."""
        if refund.status != PROCESSING:
            raise ControlError(f"the refund is {refund.status}")
        order = self._context.books.get_order(PROVIDER, refund.merchant, refund.reference)
        if order is not None and status in ("SUCCESS", DONE):
            self._refunds.settle(order, refund)
        else:
            self._refunds.fail(refund)
        return refund

    def rotate_keys(self, mode: str | None) -> dict[str, Any]:
        """Alipay's keys change only with the merchant's configuration."""
        raise ControlError(f"Alipay does not rotate keys by itself ({mode or 'any mode'})", 422)

    def notice(self, order: Order, refund: Refund | None) -> Notice | None:
        """The notification of the state as it is."""
        return self._herald.notice(order, refund)

    def build(self, notice: Notice, fault: Fault | None) -> Message:
        """Sign one attempt."""
        return self._herald.build(notice, fault)

    def accepts(self, status: int, body: bytes) -> bool:
        """Exactly seven bytes; `SUCCESS`, JSON or a byte order mark are not it."""
        return status == 200 and body == b"success"  # noqa: PLR2004 - HTTP's own number

    def sweep(self) -> None:
        """Expire what was not paid, finish what was pending."""
        clock = self._context.clock
        for order in self._context.books.due_orders(PROVIDER, WAITING, clock.now(), clock.scale):
            self._trades.refresh(order)
        for refund in self._context.books.refunds(PROVIDER, status=PROCESSING):
            self._refunds.end_pending(refund)

    def is_open(self, order: Order) -> bool:
        """Whether the payer can still pay."""
        return order.status in (SHOWN, WAITING) and not self._trades.is_expired(order)

    def _called_by_mini_program(self, checkout: str) -> Order:
        """`my.tradePay({tradeNO})`: the trade exists already and the number is all it takes."""
        try:
            number = str(json.loads(checkout)["tradeNO"])
        except (ValueError, KeyError, TypeError) as error:
            raise ControlError('my.tradePay takes {"tradeNO": "..."}', 422) from error
        order = self._context.books.order_by_provider_reference(PROVIDER, number)
        if order is None:
            raise ControlError(f"no trade {number!r}", 404)
        return self.open(order)

    def _payable(self, order: Order) -> Order:
        order = self.open(order)
        if order.status != WAITING:
            raise ControlError(f"the trade is {order.status}")
        return order

    def _scanned(self, reference: str) -> Order:
        order = self._context.books.find_order(PROVIDER, reference)
        if order is None:
            raise ControlError(f"no order {reference!r}", 404)
        return self.open(order)


SIDE = AlipaySide
