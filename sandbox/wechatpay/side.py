from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from sandbox.books import Order, Refund
from sandbox.context import Context
from sandbox.faults import Fault
from sandbox.manifest import pick
from sandbox.side import ControlError, Message, Notice
from sandbox.wechatpay import invocation
from sandbox.wechatpay.accounts import Accounts
from sandbox.wechatpay.balances import Balances
from sandbox.wechatpay.barcode import Barcode
from sandbox.wechatpay.call import PROVIDER
from sandbox.wechatpay.checkouts import H5_PATH, Checkouts
from sandbox.wechatpay.gateway import CALL_FAULTS, Gateway, Handler
from sandbox.wechatpay.notices import (
    LADDER,
    NOTIFY_FAULTS,
    Postman,
    payment_notice,
    refund_notice,
)
from sandbox.wechatpay.orders import Orders
from sandbox.wechatpay.payer import Payer
from sandbox.wechatpay.platform import echo, list_certificates, no_such_resource
from sandbox.wechatpay.refunds import Refunds
from sandbox.wechatpay.scenarios import DEMO
from sandbox.wire_response import METHODS

TRANSACTIONS = "/v3/pay/transactions"
BY_NUMBER = f"{TRANSACTIONS}/out-trade-no/{{out_trade_no}}"
BALANCE = "/v3/merchant/fund/balance"
REFUNDS = "/v3/refund/domestic/refunds"
ACCEPTED = (200, 204)

# What Paysaga's configuration takes of the manifest; it refuses anything else.
ACCOUNT = (
    "mchid",
    "api_v3_key",
    "merchant_serial",
    "merchant_private_key_file",
    "public_key_id",
    "public_key_file",
)


class WechatpaySide:
    """WeChat Pay as the rest of the sandbox sees it."""

    name = PROVIDER
    demo = DEMO
    pages: Mapping[str, str] = MappingProxyType({})
    ladder = LADDER
    call_faults: tuple[str, ...] = CALL_FAULTS
    notify_faults: tuple[str, ...] = NOTIFY_FAULTS

    def __init__(self, context: Context) -> None:
        self._context = context
        self._accounts = Accounts(context.keys_dir / PROVIDER)
        self._checkouts = Checkouts(context)
        self._payer = Payer(context, self._checkouts)
        self._refunds = Refunds(context)
        self._gateway = Gateway(context, self._accounts.by_mchid)
        self._postman = Postman(self._accounts.by_mchid, context.clock)

    def router(self) -> APIRouter:
        """The API at the root, because the signed path is `/v3/…`, and the H5 link."""
        router = APIRouter(tags=["wechatpay"])
        for method, path, operation, handler in self._routes():
            endpoint = self._endpoint(operation, handler)
            router.add_api_route(path, endpoint, methods=[method], include_in_schema=False)
        router.add_api_route(H5_PATH, self._open_in_browser, include_in_schema=False)
        return router

    def manifest(self) -> dict[str, Any]:
        """Origin, app and merchants."""
        return {
            "base_url": self._context.base_url,
            "appid": self._accounts.appid,
            "merchants": self._accounts.manifest(),
        }

    def accounts(self) -> list[dict[str, Any]]:
        """Every merchant."""
        manifest = self.manifest()
        shared = {key: manifest[key] for key in ("base_url", "appid")}
        return [
            {"name": name}
            | shared
            | pick(merchant, ACCOUNT)
            | {"platform_certificates": merchant["mode"] == "platform_certificate"}
            for name, merchant in manifest["merchants"].items()
        ]

    def links(self) -> dict[str, str]:
        """Its interface."""
        return {"WeChat Pay v3": self._context.base_url}

    def open_checkout(self, checkout: str) -> Order:
        """The phone scans a code URL, opens an H5 URL, or gets an app's or a page's parameters.

        The latter are JSON and their signature is checked; a bare prepay id does as well.
        """
        cashier = f"{self._context.base_url}/cashier/{PROVIDER}/"
        if checkout.startswith(cashier):
            order = self._context.books.find_order(PROVIDER, checkout.removeprefix(cashier))
            if order is None:
                raise ControlError("no such order", 404)
            return order
        if not checkout.startswith("{"):
            return self._checkouts.find(checkout)
        params = invocation.parse(checkout)
        order = self._checkouts.find(invocation.prepay_id(params))
        invocation.check(params, self._accounts.by_mchid[order.merchant], order.app_id)
        return order

    def open(self, order: Order) -> Order:
        """Looking at an order changes nothing here."""
        return order

    def pay(self, order: Order, *, notify: bool = True, amount: int | None = None) -> Order:
        """The payer pays, `amount` fen if given; raises ControlError."""
        return self._payer.pay(order, notify=notify, amount=amount)

    def decline(self, order: Order, *, notify: bool = True) -> Order:  # noqa: ARG002 - never told
        """The attempt fails; WeChat Pay does not tell the merchant."""
        return self._payer.decline(order)

    def cancel(self, order: Order, *, notify: bool = True) -> Order:
        """The payer walks away, which looks like a failed attempt."""
        return self.decline(order, notify=notify)

    def return_url(self, order: Order) -> str | None:
        """The `redirect_url` that the merchant appended to the H5 link, unsigned."""
        return order.extra.get("redirect_url")

    def complete_refund(self, refund: Refund, status: str) -> Refund:
        """A refund in flight reaches SUCCESS, CLOSED or ABNORMAL; raises ControlError."""
        return self._refunds.complete(refund, status)

    def rotate_keys(self, mode: str | None) -> dict[str, Any]:
        """`overlap`, `public_key` or `finish` (see `Accounts.rotate`); raises ControlError."""
        self._accounts.rotate(mode)
        return self.manifest()

    def notice(self, order: Order, refund: Refund | None) -> Notice | None:
        """The notification for the state as it is; unpaid orders have none."""
        return refund_notice(refund, order) if refund else payment_notice(order)

    def build(self, notice: Notice, fault: Fault | None) -> Message:
        """Seal and sign one attempt."""
        return self._postman.build(notice, fault)

    def accepts(self, status: int, body: bytes) -> bool:  # noqa: ARG002 - the status decides
        """200 with a FAIL body counts as received."""
        return status in ACCEPTED

    def sweep(self) -> None:
        """Barcode payments and refunds under way come to their end."""
        self._payer.let_time_pass()
        self._refunds.let_time_pass()

    def is_open(self, order: Order) -> bool:
        """Whether the payer can still pay."""
        return self._payer.is_open(order)

    def _routes(self) -> list[tuple[str, str, str, Handler]]:
        orders = Orders(self._context, self._accounts.appid, self._checkouts)
        barcode = Barcode(self._context, self._accounts.appid, self._payer)
        balances = Balances(self._context)
        placing = [
            ("POST", f"{TRANSACTIONS}/{channel}", "create", partial(orders.place, channel=channel))
            for channel in ("app", "jsapi", "native", "h5")
        ]
        return [
            *placing,
            ("POST", f"{TRANSACTIONS}/codepay", "create", barcode.pay),
            ("GET", f"{TRANSACTIONS}/id/{{transaction_id}}", "query", orders.query),
            ("GET", BY_NUMBER, "query", orders.query),
            ("POST", f"{BY_NUMBER}/close", "close", orders.close),
            ("POST", f"{BY_NUMBER}/reverse", "cancel", barcode.reverse),
            ("POST", REFUNDS, "refund", self._refunds.apply),
            ("GET", f"{REFUNDS}/{{out_refund_no}}", "refund_query", self._refunds.query),
            (
                "POST",
                f"{REFUNDS}/{{refund_id}}/apply-abnormal-refund",
                "refund",
                self._refunds.rescue,
            ),
            ("GET", f"{BALANCE}/{{account_type}}", "balance", balances.query),
            ("GET", "/v3/certificates", "certificates", list_certificates),
            ("POST", "/v3/security/echo", "echo", echo),
            *(
                (method, path, "unknown", no_such_resource)
                for method in METHODS
                for path in ("/v3", "/v3/{rest:path}")
            ),
        ]

    def _endpoint(self, operation: str, handler: Handler) -> Callable[..., Any]:
        async def endpoint(request: Request) -> Response:
            return await self._gateway.serve(request, operation, handler)

        return endpoint

    async def _open_in_browser(self, request: Request) -> Response:
        try:
            order = self._checkouts.find(str(request.url))
        except ControlError as error:
            return PlainTextResponse(error.message, error.status)
        return RedirectResponse(f"{self._context.base_url}/cashier/{PROVIDER}/{order.reference}")


SIDE = WechatpaySide
