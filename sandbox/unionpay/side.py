import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from sandbox.books import Order, Refund
from sandbox.context import Context
from sandbox.faults import Fault
from sandbox.manifest import pick
from sandbox.side import ControlError, Message, Notice
from sandbox.unionpay.envelope import Call
from sandbox.unionpay.errors import AcpError
from sandbox.unionpay.gateway import CALL_FAULTS, PATH, Gateway
from sandbox.unionpay.keys import KeyRing
from sandbox.unionpay.notices import LADDER, NOTIFY_FAULTS, Herald
from sandbox.unionpay.pages import FormReader, form_page
from sandbox.unionpay.payments import QR_PATH, Payments
from sandbox.unionpay.queries import Queries
from sandbox.unionpay.refunds import Refunds
from sandbox.unionpay.reversals import Reversals
from sandbox.unionpay.scenarios import DEMO
from sandbox.unionpay.sealing import Fields
from sandbox.unionpay.transactions import PROVIDER, Transactions

RETURN_PATH = "/unionpay/return"
ACCEPTED = (200, 302)
TEST_MODE = "01"

# What Paysaga's configuration takes of the manifest; it refuses anything else.
ACCOUNT = (
    "mer_id",
    "sign_method",
    "pfx_file",
    "pfx_password",
    "root_certificate_file",
    "middle_certificate_file",
    "secure_key",
)


class UnionpaySide:
    """UnionPay as the rest of the sandbox sees it."""

    name = PROVIDER
    demo = DEMO
    pages: Mapping[str, str] = MappingProxyType({})
    ladder: tuple[float, ...] = LADDER
    call_faults: tuple[str, ...] = CALL_FAULTS
    notify_faults: tuple[str, ...] = NOTIFY_FAULTS

    def __init__(self, context: Context) -> None:
        self._context = context
        self._keys = KeyRing(context.keys_dir / PROVIDER)
        self._herald = Herald(context, self._keys)
        transactions = Transactions(context)
        self._payments = Payments(context, transactions, self._herald)
        self._refunds = Refunds(context, transactions, self._herald)
        queries = Queries(transactions, self._payments, self._refunds)
        handlers = {
            "app": self._payments.order_for_app,
            "qr": self._payments.order_for_scan,
            "barcode": self._payments.charge_code,
            "refund": self._refunds.refund,
            "undo": self._refunds.undo,
            "reversal": Reversals(context, transactions, self._payments).reverse,
            "encryption_certificate": self._encryption_certificate,
            "query": queries.query,
        }
        self._gateway = Gateway(context, self._keys, transactions, self._payments, handlers)

    def router(self) -> APIRouter:
        """The gateway, the address in QR codes, and the way back to the merchant."""
        router = self._gateway.router()
        router.add_api_route(QR_PATH + "{token}", self._scanned_by_browser)
        router.add_api_route(RETURN_PATH + "/{mer_id}/{reference}", self._return_page)
        return router

    def manifest(self) -> dict[str, Any]:
        """Where the endpoints are, and the merchants."""
        return {
            "base_url": f"{self._context.base_url}/unionpay{PATH}",
            "merchants": self._keys.manifest(),
        }

    def accounts(self) -> list[dict[str, Any]]:
        """Every merchant, in the test environment."""
        manifest = self.manifest()
        # The sandbox plays UnionPay's test environment, and the app's SDK is told so.
        shared = {"base_url": manifest["base_url"], "mode": "01"}
        return [
            {"name": name} | shared | pick(merchant, ACCOUNT)
            for name, merchant in manifest["merchants"].items()
        ]

    def links(self) -> dict[str, str]:
        """Its interface."""
        return {"UnionPay ACP": self.manifest()["base_url"]}

    def open_checkout(self, checkout: str) -> Order:
        """What the app's SDK does with a `tn`, a browser with a form, a wallet with a QR text.

        A `tn` comes bare or as `{"tn": …, "mode": "01"}`; a form as the page that submits it, as
        `{"url": …, "fields": {…}}`, or as its encoded body. Raises ControlError.
        """
        cashier = f"{self._context.base_url}/cashier/{PROVIDER}/"
        scanned = f"{self._context.base_url}{QR_PATH}"
        if checkout.startswith(cashier):
            return self._payments.open(self._named(checkout.removeprefix(cashier)))
        if checkout.startswith(scanned):
            return self._payments.open(self._payments.find(checkout.removeprefix(scanned)))
        if checkout.startswith("{"):
            return self._handed_over(checkout)
        if "<form" in checkout:
            return self._submitted(FormReader(checkout).fields)
        if "=" in checkout:
            return self._submitted(dict(parse_qsl(checkout, keep_blank_values=True)))
        return self._payments.open(self._payments.find(checkout))

    def open(self, order: Order) -> Order:
        """The payer's wallet opened it."""
        return self._payments.open(order)

    def pay(self, order: Order, *, notify: bool = True, amount: int | None = None) -> Order:
        """The payer pays, `amount` fen if given; raises ControlError."""
        return self._payments.pay(order, notify=notify, amount=amount)

    def decline(self, order: Order, *, notify: bool = True) -> Order:
        """The bank refuses; only a scanned code is over with that."""
        return self._payments.decline(order, notify=notify)

    def cancel(self, order: Order, *, notify: bool = True) -> Order:
        """The payer walks away."""
        return self._payments.cancel(order, notify=notify)

    def return_url(self, order: Order) -> str | None:
        """A page that posts the signed result to the merchant's `frontUrl`."""
        if self._herald.front_return(order) is None:
            return None
        return f"{self._context.base_url}{RETURN_PATH}/{order.merchant}/{order.reference}"

    def complete_refund(self, refund: Refund, status: str) -> Refund:
        """A refund under way ends as SUCCESS or FAILED; raises ControlError."""
        return self._refunds.complete(refund, status)

    def rotate_keys(self, mode: str | None) -> dict[str, Any]:
        """The gateway signs with a new certificate of the same authorities."""
        if mode is not None:
            raise ControlError(f"UnionPay's rotation has no mode {mode!r}", 422)
        self._keys.rotate()
        return self.manifest()

    def notice(self, order: Order, refund: Refund | None) -> Notice | None:
        """The notification of the state as it is; unpaid orders have none."""
        return self._herald.notice(refund or order)

    def build(self, notice: Notice, fault: Fault | None) -> Message:
        """Sign one attempt."""
        return self._herald.build(notice, fault)

    def accepts(self, status: int, body: bytes) -> bool:  # noqa: ARG002 - the status decides
        """Whatever the body says."""
        return status in ACCEPTED

    def sweep(self) -> None:
        """Expire what was not paid, finish what was pending."""
        self._payments.let_time_pass()
        self._refunds.let_time_pass()

    def is_open(self, order: Order) -> bool:
        """Whether the payer can still pay."""
        return self._payments.is_open(order)

    def _encryption_certificate(self, call: Call) -> Fields:
        """95/00: what card data is encrypted with."""
        pem = self._keys.encryption_certificate()
        return {"certType": call.fields["certType"], "encryptPubKeyCert": pem}

    def _handed_over(self, checkout: str) -> Order:
        try:
            content = json.loads(checkout)
            if "tn" not in content:
                return self._submitted(dict(content["fields"]))
            number, mode = str(content["tn"]), content.get("mode", TEST_MODE)
        except (ValueError, KeyError, TypeError) as error:
            raise ControlError("UnionPay's SDK takes a tn and a mode", 422) from error
        if mode != TEST_MODE:
            raise ControlError(f"mode {mode!r} is not the test environment's {TEST_MODE!r}", 422)
        return self._payments.open(self._payments.find(number))

    def _submitted(self, fields: Fields) -> Order:
        try:
            return self._gateway.accept_front(fields)
        except AcpError as error:
            raise ControlError(f"{error.code}: {error.message}", 422) from error

    def _named(self, reference: str) -> Order:
        order = self._context.books.find_order(PROVIDER, reference)
        if order is None:
            raise ControlError(f"no order {reference!r}", 404)
        return order

    async def _scanned_by_browser(self, token: str) -> Response:
        try:
            order = self._payments.open(self._payments.find(token))
        except ControlError as error:
            return PlainTextResponse(error.message, error.status)
        return RedirectResponse(self._gateway.cashier_url(order))

    async def _return_page(self, mer_id: str, reference: str) -> Response:
        order = self._context.books.get_order(PROVIDER, mer_id, reference)
        told = order and self._herald.front_return(order)
        if not told:
            return PlainTextResponse("nothing to return with", 404)
        return HTMLResponse(form_page(*told))


SIDE = UnionpaySide
