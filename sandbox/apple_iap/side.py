from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Body, HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from sandbox.apple_iap.changes import Changes
from sandbox.apple_iap.device import Device
from sandbox.apple_iap.device_pages import device_page
from sandbox.apple_iap.gateway import CALL_FAULTS, Gateway
from sandbox.apple_iap.histories import Histories
from sandbox.apple_iap.keys import APP, KeyRing
from sandbox.apple_iap.lookups import Lookups
from sandbox.apple_iap.mass_extensions import MassExtensions
from sandbox.apple_iap.notices import ACCEPTED, LADDER, NOTIFY_FAULTS, Herald
from sandbox.apple_iap.purchases import Purchases
from sandbox.apple_iap.receipts import Receipts
from sandbox.apple_iap.refunds import Refunds
from sandbox.apple_iap.scenarios import DEMO
from sandbox.apple_iap.store import AppSettings
from sandbox.apple_iap.subscriptions import Subscriptions
from sandbox.apple_iap.transactions import Transactions
from sandbox.apple_iap.views import ASKED, PROVIDER, SHEET
from sandbox.books import Order, Refund
from sandbox.context import Context
from sandbox.faults import Fault
from sandbox.manifest import pick
from sandbox.side import ControlError, Message, Notice

Content = Annotated[dict[str, Any], Body()]
CONTROL = f"/_sandbox/{PROVIDER}"
PAGE = f"/cashier/{PROVIDER}"

# What Paysaga's configuration takes of the manifest; it refuses anything else.
ACCOUNT = (
    "environment",
    "bundle_id",
    "app_apple_id",
    "issuer_id",
    "key_id",
    "private_key_file",
)


class AppleIapSide:
    """The App Store as the rest of the sandbox sees it."""

    name = PROVIDER
    demo = DEMO
    pages: Mapping[str, str] = MappingProxyType({"A phone with your app": PAGE})
    ladder: tuple[float, ...] = LADDER
    call_faults: tuple[str, ...] = CALL_FAULTS
    notify_faults: tuple[str, ...] = NOTIFY_FAULTS

    def __init__(self, context: Context) -> None:
        self._context = context
        self._keys = KeyRing(context.keys_dir / PROVIDER)
        self._settings = AppSettings(context.data_dir / f"{PROVIDER}.json")
        self._transactions = Transactions(context)
        self._herald = Herald(context, self._keys, self._settings, self._transactions)
        self._purchases = Purchases(context, self._keys, self._transactions, self._herald)
        subscriptions = Subscriptions(context, self._transactions, self._herald)
        receipts = Receipts(context, self._keys, self._transactions)
        self._device = Device(
            context=context,
            keys=self._keys,
            transactions=self._transactions,
            purchases=self._purchases,
            subscriptions=subscriptions,
            refunds=Refunds(context, self._transactions, self._herald),
            herald=self._herald,
            receipts=receipts,
        )
        lookups = Lookups(context, self._keys, self._transactions)
        self._gateway = Gateway(
            context=context,
            keys=self._keys,
            transactions=self._transactions,
            lookups=lookups,
            histories=Histories(context, self._herald),
            changes=Changes(context, lookups, subscriptions),
            mass_extensions=MassExtensions(
                context, self._transactions, subscriptions, self._herald
            ),
            receipts=receipts,
        )

    def router(self) -> APIRouter:
        """The App Store Server API, the device's control, and its page."""
        router = self._gateway.router()
        router.add_api_route(f"{CONTROL}/transactions", self._owned, methods=["GET"])
        router.add_api_route(f"{CONTROL}/apps/{APP}", self._set, methods=["POST"])
        router.add_api_route(f"{CONTROL}/jws", self._jws, methods=["POST"])
        router.add_api_route(f"{CONTROL}/{{deed}}", self._act, methods=["POST"])
        router.add_api_route(PAGE, self._show, response_model=None)
        router.add_api_route(PAGE, self._press, methods=["POST"], response_model=None)
        return router

    def manifest(self) -> dict[str, Any]:
        """Both hosts, the root certificate and the app."""
        origin = self._context.base_url
        return {
            "base_url": f"{origin}/{PROVIDER}/sandbox",
            "production_url": self._context.production_url,
        } | self._keys.manifest(f"{origin}{CONTROL}/apps/{APP}")

    def accounts(self) -> list[dict[str, Any]]:
        """The app, as its developer configures it."""
        manifest = self.manifest()
        shared = {key: manifest[key] for key in ("base_url", "root_certificate_file")}
        return [
            {"name": name} | shared | pick(app, ACCOUNT) for name, app in manifest["apps"].items()
        ]

    def links(self) -> dict[str, str]:
        """Both hosts."""
        manifest = self.manifest()
        return {
            "App Store Server API": manifest["base_url"],
            "App Store, production": manifest["production_url"],
        }

    def open_checkout(self, checkout: str) -> Order:
        """`{"productId": …, "appAccountToken": …, "quantity": …}`; raises ControlError."""
        return self._purchases.open(checkout)

    def open(self, order: Order) -> Order:
        """Looking at a purchase sheet changes nothing."""
        return order

    def pay(self, order: Order, *, notify: bool = True, amount: int | None = None) -> Order:
        """The buyer, or the parent who was asked, agrees; raises ControlError."""
        return self._purchases.pay(order, notify=notify, amount=amount)

    def decline(self, order: Order, *, notify: bool = True) -> Order:  # noqa: ARG002 - nobody is told
        """The parent says no, or the sheet ends in an error."""
        return self._purchases.decline(order)

    def cancel(self, order: Order, *, notify: bool = True) -> Order:  # noqa: ARG002 - nobody is told
        """The buyer closes the sheet."""
        return self._purchases.cancel(order)

    def return_url(self, order: Order) -> str | None:  # noqa: ARG002 - an app, no browser
        """StoreKit answers the app itself."""
        return None

    def complete_refund(self, refund: Refund, status: str) -> Refund:
        """Apple's refunds are done when they are decided."""
        raise ControlError(f"a {refund.status} refund does not become {status}")

    def rotate_keys(self, mode: str | None) -> dict[str, Any]:
        """The root stays pinned for decades."""
        raise ControlError(f"the App Store's keys have no mode {mode!r}", 422)

    def notice(self, order: Order, refund: Refund | None) -> Notice | None:
        """What was told of the purchase or its refund, once more with the same UUID."""
        notice = self._herald.again(order, "refund" if refund else "payment")
        return notice if notice and notice.url else None

    def build(self, notice: Notice, fault: Fault | None) -> Message:
        """Sign one attempt."""
        return self._herald.build(notice, fault)

    def accepts(self, status: int, body: bytes) -> bool:  # noqa: ARG002 - the status decides
        """Whatever the body says."""
        return status in ACCEPTED

    def sweep(self) -> None:
        """Nothing happens by itself: renewals and expiries are asked for."""

    def is_open(self, order: Order) -> bool:
        """Whether the sheet or the question to the parent is still on a screen."""
        return order.status in (SHEET, ASKED)

    async def _set(self, content: Content) -> dict[str, Any]:
        return self._checked(lambda: self._settings.change(content))

    async def _jws(self, content: Content) -> dict[str, Any]:
        return self._checked(lambda: self._device.jws(content))

    async def _act(self, deed: str, content: Content) -> dict[str, Any]:
        return self._checked(lambda: self._device.act(deed, content))

    async def _owned(self, customer: str | None = None) -> list[dict[str, Any]]:
        return self._device.owned(customer)

    async def _show(self, said: str = "") -> Response:
        orders = self._context.books.orders(PROVIDER)
        return HTMLResponse(device_page(orders, said))

    async def _press(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        try:
            said = self._pressed(form.pop("deed", ""), form)
        except ControlError as error:
            said = error.message
        target = request.url.replace(query="").include_query_params(said=said)
        return RedirectResponse(f"{target.path}?{target.query}", 303)

    def _pressed(self, deed: str, form: dict[str, Any]) -> str:
        if checkout := form.pop("checkout", ""):
            opened = self._purchases.open(checkout)
            return f"{opened.subject} is on the screen."
        if "quantity" in form:
            form["quantity"] = int(form["quantity"]) if form["quantity"].isdigit() else 0
        self._device.act(deed, form)
        return f"Done: {deed}."

    def _checked(self, action: Any) -> dict[str, Any]:
        try:
            done: dict[str, Any] = action()
        except ControlError as error:
            raise HTTPException(error.status, error.message) from error
        return done


SIDE = AppleIapSide
