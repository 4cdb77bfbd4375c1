from dataclasses import dataclass

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from sandbox.books import Order
from sandbox.cashier_pages import list_page, message_page, order_page
from sandbox.context import Context
from sandbox.side import ControlError, ProviderSide

MERCHANT = "Paysaga Sandbox Shop"
ACTIONS = ("pay", "pay-silently", "cancel")
LONGEST_LIST = 200


@dataclass(frozen=True)
class Cashier:
    """The pages where a person plays the payer."""

    context: Context
    sides: dict[str, ProviderSide]

    def router(self) -> APIRouter:
        """Everything under `/cashier`."""
        router = APIRouter(prefix="/cashier", tags=["cashier"])
        router.add_api_route("/", self.list, response_model=None)
        router.add_api_route("/{provider}/{reference}", self.show, response_model=None)
        router.add_api_route(
            "/{provider}/{reference}/{action}", self.act, methods=["POST"], response_model=None
        )
        return router

    async def list(self) -> Response:
        """The orders that wait for a payer, newest first."""
        orders = self.context.books.orders()
        waiting = [order for order in orders if self.sides[order.provider].is_open(order)]
        pages = {title: path for side in self.sides.values() for title, path in side.pages.items()}
        return HTMLResponse(list_page(waiting[::-1][:LONGEST_LIST], pages))

    async def show(self, provider: str, reference: str) -> Response:
        """One order; looking at it counts as scanning or opening it."""
        order = self._find(provider, reference)
        if order is None:
            return _nothing()
        try:
            return self._page(self.sides[provider].open(order))
        except ControlError as error:
            return self._page(order, error.message)

    async def act(self, provider: str, reference: str, action: str) -> Response:
        """The payer pressed a button."""
        order = self._find(provider, reference)
        if order is None or action not in ACTIONS:
            return _nothing()
        side = self.sides[provider]
        try:
            if action == "cancel":
                return self._page(side.cancel(order), "Cancelled by the payer.")
            paid = side.pay(order, notify=action == "pay")
        except ControlError as error:
            return self._page(order, error.message, 409)
        if target := side.return_url(paid):
            return RedirectResponse(target, 303)
        lost = "" if action == "pay" else " The merchant will not be told."
        return self._page(paid, f"Paid.{lost}")

    def _find(self, provider: str, reference: str) -> Order | None:
        if provider not in self.sides:
            return None
        return self.context.books.find_order(provider, reference)

    def _page(self, order: Order, said: str | None = None, status: int = 200) -> HTMLResponse:
        payable = self.sides[order.provider].is_open(order)
        return HTMLResponse(order_page(order, MERCHANT, payable=payable, said=said), status)


def _nothing() -> HTMLResponse:
    return HTMLResponse(message_page("Cashier", "There is no such order."), 404)
