from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from sandbox.books import Order
from sandbox.cashier_pages import list_page, message_page, order_page
from sandbox.context import Context
from sandbox.side import ControlError, ProviderSide

MERCHANT = "Paysaga Sandbox Shop"


def cashier_router(context: Context, sides: dict[str, ProviderSide]) -> APIRouter:
    """The pages where a person plays the payer."""
    router = APIRouter(tags=["cashier"], default_response_class=HTMLResponse)

    def find(provider: str, reference: str) -> Order | None:
        return context.books.find_order(provider, reference) if provider in sides else None

    def show(order: Order, said: str | None = None, status: int = 200) -> HTMLResponse:
        payable = sides[order.provider].is_open(order)
        return HTMLResponse(order_page(order, MERCHANT, payable=payable, said=said), status)

    @router.get("/cashier/")
    async def listing() -> HTMLResponse:
        waiting = [
            order for order in context.books.orders() if sides[order.provider].is_open(order)
        ]
        return HTMLResponse(list_page(waiting[::-1][:200]))

    @router.get("/cashier/{provider}/{reference}")
    async def page(provider: str, reference: str) -> HTMLResponse:
        order = find(provider, reference)
        if order is None:
            return HTMLResponse(message_page("Cashier", "There is no such order."), 404)
        try:
            return show(sides[provider].open(order))
        except ControlError as error:
            return show(order, error.message)

    @router.post("/cashier/{provider}/{reference}/{action}", response_model=None)
    async def act(provider: str, reference: str, action: str) -> Response:
        order = find(provider, reference)
        if order is None or action not in ("pay", "pay-silently", "cancel"):
            return HTMLResponse(message_page("Cashier", "There is no such order."), 404)
        side = sides[provider]
        try:
            if action == "cancel":
                return show(side.cancel(order), "Cancelled by the payer.")
            paid = side.pay(order, notify=action == "pay")
        except ControlError as error:
            return show(order, error.message, 409)
        if target := side.return_url(paid):
            return RedirectResponse(target, 303)
        lost = "" if action == "pay" else " The merchant will not be told."
        return show(paid, f"Paid.{lost}")

    return router
