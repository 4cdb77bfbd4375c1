# How the store words a transaction and a subscription's renewal.
import secrets
import uuid
from datetime import datetime, timedelta
from typing import Any

from sandbox.apple_iap.catalogue import SUBSCRIPTION, Product
from sandbox.books import Order

PROVIDER = "apple_iap"
# Our own words for a purchase; the wire has none.
SHEET, ASKED, PURCHASED, REFUNDED, REVOKED = "SHEET", "ASKED", "PURCHASED", "REFUNDED", "REVOKED"
CANCELLED, DECLINED = "CANCELLED", "DECLINED"
BOUGHT = (PURCHASED, REFUNDED, REVOKED)
# A subscription's status (Get All Subscription Statuses).
ACTIVE, EXPIRED, BILLING_RETRY, GRACE, STATUS_REVOKED = 1, 2, 3, 4, 5
WHOLE = 100_000
Claims = dict[str, Any]


def millis(moment: datetime) -> int:
    """Epoch milliseconds."""
    return int(moment.timestamp() * 1000)


def new_transaction_id() -> str:
    """Sixteen digits, beginning as those of Apple's own sandbox."""
    return f"20{secrets.randbelow(10**14):014}"


def new_customer() -> str:
    """An Apple account in the app (`appTransactionId`)."""
    return f"70{secrets.randbelow(10**14):014}"


def new_order_id() -> str:
    """The number on the customer's invoice."""
    return f"M{secrets.token_hex(5).upper()}"


def new_uuid() -> str:
    """A random UUID in small letters."""
    return str(uuid.uuid4())


def first_claims(order: Order, product: Product, bundle_id: str, now: datetime) -> Claims:
    """The claims of a purchase that has just been made."""
    transaction_id = new_transaction_id()
    claims: Claims = {
        "transactionId": transaction_id,
        "originalTransactionId": transaction_id,
        "bundleId": bundle_id,
        "productId": product.id,
        "purchaseDate": millis(now),
        "originalPurchaseDate": millis(now),
        "quantity": order.extra["quantity"],
        "type": product.type,
        "inAppOwnershipType": "PURCHASED",
        "environment": order.extra["environment"],
        "transactionReason": "PURCHASE",
        "storefront": "CHN",
        "storefrontId": "143465",
        "price": order.extra["price"] * 10,
        "currency": product.currency,
        "appTransactionId": order.payer,
    }
    if token := order.extra.get("token"):
        claims["appAccountToken"] = token
    if product.type == SUBSCRIPTION:
        claims |= period(product, now, now)
    return claims


def period(product: Product, begins: datetime, now: datetime) -> Claims:
    """One period of a subscription, bought now, which begins at that time."""
    return {
        "webOrderLineItemId": new_transaction_id(),
        "subscriptionGroupIdentifier": product.group,
        "purchaseDate": millis(now),
        "expiresDate": millis(begins + timedelta(days=product.days or 0)),
    }


def transaction_claims(order: Order, now: datetime) -> Claims:
    """What the store would sign about a transaction at this moment."""
    return dict(order.extra["transaction"]) | {"signedDate": millis(now)}


def renewal_claims(origin: Order, latest: Order, now: datetime) -> Claims:
    """What the store would sign about the subscription's next renewal."""
    state, transaction = origin.extra["subscription"], latest.extra["transaction"]
    claims: Claims = {
        "originalTransactionId": transaction["originalTransactionId"],
        "autoRenewProductId": state["renews_as"],
        "productId": transaction["productId"],
        "autoRenewStatus": int(state["auto_renew"]),
        "renewalPrice": transaction.get("price"),
        "currency": transaction.get("currency"),
        "signedDate": millis(now),
        "environment": transaction["environment"],
        "recentSubscriptionStartDate": transaction["originalPurchaseDate"],
        "renewalDate": transaction["expiresDate"],
        "appTransactionId": transaction["appTransactionId"],
    }
    optional = {
        "expirationIntent": state.get("expiration_intent"),
        "gracePeriodExpiresDate": state.get("grace_until"),
        "appAccountToken": transaction.get("appAccountToken"),
    }
    claims |= {name: value for name, value in optional.items() if value is not None}
    if state["status"] in (BILLING_RETRY, GRACE):
        claims["isInBillingRetryPeriod"] = True
    return claims
