from dataclasses import dataclass

from sandbox.apple_iap.keys import APP
from sandbox.apple_iap.views import BOUGHT, PROVIDER
from sandbox.books import Order
from sandbox.context import Context
from sandbox.side import ControlError


@dataclass(frozen=True)
class Transactions:
    """Finds what was bought. One order of the books is one transaction."""

    context: Context

    def find(self, transaction_id: str) -> Order | None:
        """The transaction of that number."""
        order = self.context.books.order_by_provider_reference(PROVIDER, transaction_id)
        return order if order and order.status in BOUGHT else None

    def named(self, transaction_id: object) -> Order:
        """The same, for the control API; raises ControlError."""
        order = self.find(str(transaction_id))
        if order is None:
            raise ControlError(f"no transaction {transaction_id!r}", 404)
        return order

    def of_customer(self, customer: str) -> list[Order]:
        """Everything one Apple account has bought in the app, oldest first."""
        found = self.context.books.orders_of_payer(PROVIDER, customer)
        return [order for order in found if order.status in BOUGHT]

    def origin(self, order: Order) -> Order:
        """The first transaction of the chain that this one belongs to."""
        claims = order.extra["transaction"]
        first = self.find(claims["originalTransactionId"])
        return order if first is None else first

    def latest(self, order: Order) -> Order:
        """The newest transaction of the chain, whatever became of it."""
        original = order.extra["transaction"]["originalTransactionId"]
        chain = [
            item
            for item in self.of_customer(order.payer or "")
            if item.extra["transaction"]["originalTransactionId"] == original
        ]
        # Of two of one millisecond the later in the books is newer.
        return max(chain[::-1], key=lambda item: int(item.extra["transaction"]["purchaseDate"]))

    def free_reference(self, token: str | None, number: str) -> str:
        """The token is an order's name once; later transactions with it add their number."""
        if token is None:
            return f"-{number}"
        name = token.replace("-", "").lower()
        taken = self.context.books.get_order(PROVIDER, APP, name)
        return f"{name}@{number}" if taken else name
