import json
import uuid
from dataclasses import dataclass
from typing import Any

from sandbox.apple_iap.catalogue import CONSUMABLE, NON_RENEWING, PRODUCTS, SUBSCRIPTION, Product
from sandbox.apple_iap.keys import APP, KeyRing
from sandbox.apple_iap.notices import CHARGE, Herald
from sandbox.apple_iap.transactions import Transactions
from sandbox.apple_iap.views import (
    ACTIVE,
    ASKED,
    BOUGHT,
    CANCELLED,
    DECLINED,
    PROVIDER,
    PURCHASED,
    REVOKED,
    SHEET,
    first_claims,
    millis,
    new_customer,
    new_order_id,
    new_transaction_id,
)
from sandbox.books import Order
from sandbox.context import Context
from sandbox.side import ControlError

ENVIRONMENTS = ("Sandbox", "Production")
MOST = 10


@dataclass(frozen=True)
class Purchases:
    """What the buyer's device does."""

    context: Context
    keys: KeyRing
    transactions: Transactions
    herald: Herald

    def ask(self, content: dict[str, Any]) -> Order:
        """Open the purchase sheet, or with `ask_to_buy` ask a parent; raises ControlError."""
        product, quantity = _wanted(content)
        token = _token(content.get("app_account_token"))
        now = self.context.clock.now()
        reference = self.transactions.free_reference(token, new_transaction_id())
        environment = content.get("environment", "Sandbox")
        if environment not in ENVIRONMENTS:
            raise ControlError(f"nobody buys in the environment {environment!r}", 422)
        order = Order(
            provider=PROVIDER,
            merchant=APP,
            app_id=self.keys.bundle_id,
            reference=reference,
            amount=product.amount * quantity,
            channel="iap",
            status=ASKED if content.get("ask_to_buy") else SHEET,
            subject=product.title,
            created_at=now,
            payer=str(content.get("customer") or new_customer()),
            extra={
                "product_id": product.id,
                "quantity": quantity,
                "token": token,
                "environment": environment,
                "price": int(content.get("price", product.amount)),
            },
        )
        self.context.books.put_order(order)
        return order

    def open(self, checkout: str) -> Order:
        """The app hands over its parameters: an order that exists is met again."""
        try:
            content = json.loads(checkout)
            wanted = {
                "product_id": content["productId"],
                "app_account_token": content.get("appAccountToken"),
                # A shop's backend may have handed it over as a text.
                "quantity": int(content.get("quantity", 1)),
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ControlError("StoreKit takes a productId and options", 422) from error
        if token := _token(wanted["app_account_token"]):
            name = token.replace("-", "")
            if order := self.context.books.get_order(PROVIDER, APP, name):
                return order
        return self.ask(wanted)

    def pay(self, order: Order, *, notify: bool = True, amount: int | None = None) -> Order:
        """The buyer, or a parent, agrees; `amount` is another price in fen."""
        if order.status in BOUGHT:
            raise ControlError(f"{order.reference} is {order.status}")
        product = PRODUCTS[order.extra["product_id"]]
        if amount is not None:
            order.extra["price"] = amount // order.extra["quantity"]
        self._refuse_twice(order, product)
        now = self.context.clock.now()
        claims = first_claims(order, product, self.keys.bundle_id, now)
        order.extra["transaction"] = claims
        if product.type == SUBSCRIPTION:
            order.extra["subscription"] = {
                "status": ACTIVE,
                "auto_renew": True,
                "renews_as": product.id,
            }
        order.extra["order_id"] = new_order_id()
        order.status, order.paid_at = PURCHASED, now
        order.provider_reference = claims["transactionId"]
        self.context.books.capture(order, order.extra["price"] * order.extra["quantity"], now)
        self.herald.tell(order, _event(product), notify=notify)
        return order

    def decline(self, order: Order) -> Order:
        """The parent says no, or the sheet ends in an error. Apple tells nobody."""
        return self._end(order, DECLINED)

    def cancel(self, order: Order) -> Order:
        """The buyer closes the sheet. Apple tells nobody."""
        return self._end(order, CANCELLED)

    def share(self, owner: Order, *, notify: bool = True) -> Order:
        """A member of the family gets a transaction of their own; raises ControlError."""
        product = PRODUCTS[owner.extra["product_id"]]
        if not product.family or owner.status != PURCHASED:
            raise ControlError(f"{product.id} cannot be shared by a family")
        now, number = self.context.clock.now(), new_transaction_id()
        claims = dict(owner.extra["transaction"]) | {
            "transactionId": number,
            "originalTransactionId": number,
            "inAppOwnershipType": "FAMILY_SHARED",
            "appTransactionId": new_customer(),
        }
        del claims["price"]
        claims.pop("appAccountToken", None)
        member = Order(
            provider=PROVIDER,
            merchant=APP,
            app_id=owner.app_id,
            reference=f"-{number}",
            amount=0,
            channel="iap",
            status=PURCHASED,
            subject=owner.subject,
            created_at=now,
            payer=claims["appTransactionId"],
            provider_reference=number,
            paid_at=now,
            extra=owner.extra | {"transaction": claims, "token": None},
        )
        self.context.books.put_order(member)
        self.herald.tell(member, _event(product), notify=notify)
        return member

    def unshare(self, member: Order, *, notify: bool = True) -> Order:
        """The family ends; raises ControlError."""
        claims = member.extra["transaction"]
        if claims["inAppOwnershipType"] != "FAMILY_SHARED" or member.status != PURCHASED:
            raise ControlError("this transaction is not shared")
        claims |= {
            "revocationDate": millis(self.context.clock.now()),
            "revocationReason": 0,
            "revocationType": "FAMILY_REVOKE",
        }
        member.status = REVOKED
        self.context.books.put_order(member)
        self.herald.tell(member, ("REVOKE", None), notify=notify)
        return member

    def _end(self, order: Order, status: str) -> Order:
        if order.status in BOUGHT:
            raise ControlError(f"{order.reference} is {order.status}")
        order.status = status
        self.context.books.put_order(order)
        return order

    def _refuse_twice(self, order: Order, product: Product) -> None:
        """What is owned for good, or is subscribed to, cannot be bought again."""
        if product.type in (CONSUMABLE, NON_RENEWING):
            return
        for owned in self.transactions.of_customer(order.payer or ""):
            state = self.transactions.origin(owned).extra.get("subscription", {})
            if owned.extra["product_id"] == product.id and owned.status == PURCHASED:
                if state and state["status"] != ACTIVE:
                    continue
                raise ControlError(f"the customer owns {product.id}")


def _event(product: Product) -> tuple[str, str | None]:
    return ("SUBSCRIBED", "INITIAL_BUY") if product.type == SUBSCRIPTION else (CHARGE, None)


def _wanted(content: dict[str, Any]) -> tuple[Product, int]:
    product = PRODUCTS.get(content.get("product_id", ""))
    if product is None:
        # StoreKit would not have given the app a product to buy.
        raise ControlError(f"no product {content.get('product_id')!r}", 404)
    quantity = content.get("quantity", 1)
    if not isinstance(quantity, int) or not 1 <= quantity <= MOST:
        raise ControlError(f"StoreKit sells 1 to {MOST} of a product", 422)
    if quantity > 1 and product.type != CONSUMABLE:
        raise ControlError("only consumables are sold by the dozen", 422)
    return product, quantity


def _token(text: object) -> str | None:
    """StoreKit takes a UUID and writes it in small letters."""
    try:
        return str(uuid.UUID(str(text))) if text else None
    except ValueError as error:
        raise ControlError(f"{text!r} is no UUID", 422) from error
