# verifyReceipt, which Apple keeps for old clients. Its answers say everything in `status`.
import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from hmac import compare_digest
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA

from sandbox.apple_iap.catalogue import CONSUMABLE
from sandbox.apple_iap.keys import KeyRing
from sandbox.apple_iap.transactions import Transactions
from sandbox.apple_iap.views import ACTIVE, BILLING_RETRY, Claims, millis
from sandbox.books import Order
from sandbox.context import Context
from sandbox.side import ControlError

RECEIPT_PATH = "/verifyReceipt"
NOT_POSTED, MALFORMED, NOT_AUTHENTIC, WRONG_SECRET = 21000, 21002, 21003, 21004
FROM_SANDBOX, FROM_PRODUCTION = 21007, 21008
DATES = {
    "purchase_date": "purchaseDate",
    "original_purchase_date": "originalPurchaseDate",
    "expires_date": "expiresDate",
    "cancellation_date": "revocationDate",
}
NAMES = {
    "quantity": "quantity",
    "product_id": "productId",
    "transaction_id": "transactionId",
    "original_transaction_id": "originalTransactionId",
    "web_order_line_item_id": "webOrderLineItemId",
    "subscription_group_identifier": "subscriptionGroupIdentifier",
    "app_account_token": "appAccountToken",
    "cancellation_reason": "revocationReason",
    "in_app_ownership_type": "inAppOwnershipType",
}


@dataclass(frozen=True)
class Receipts:
    """Issues a device's receipt and verifies it for the developer's server."""

    context: Context
    keys: KeyRing
    transactions: Transactions

    def issue(self, order: Order) -> Claims:
        """The receipt of the Apple account that bought `order`; raises ControlError.

        Opaque base64: who it is for and in which environment, and the store's signature. Apple's
        own is PKCS #7, which nothing but Apple is to read.
        """
        if not order.payer:
            raise ControlError("nobody has bought this")
        environment = order.extra["transaction"]["environment"]
        content = json.dumps({"customer": order.payer, "environment": environment}).encode()
        signature = self.keys.signer("genuine").key.sign(content, ECDSA(hashes.SHA256()))
        parts = [base64.b64encode(part).decode() for part in (content, signature)]
        return {"receipt_data": base64.b64encode(json.dumps(parts).encode()).decode()}

    def verify(self, body: bytes | None, environment: str) -> Claims:
        """Answer a request; `body` is None for another method than POST."""
        if body is None:
            return {"status": NOT_POSTED}
        try:
            asked = json.loads(body)
            content, signature = _opened(asked["receipt-data"])
        except (ValueError, TypeError, KeyError):
            return {"status": MALFORMED}
        try:
            public_key = self.keys.signer("genuine").key.public_key()
            public_key.verify(signature, content, ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return {"status": NOT_AUTHENTIC}
        claims = json.loads(content)
        if claims["environment"] != environment:
            is_sandbox = claims["environment"] == "Sandbox"
            return {"status": FROM_SANDBOX if is_sandbox else FROM_PRODUCTION}
        bought = [
            order
            for order in self.transactions.of_customer(claims["customer"])
            if order.extra["transaction"]["environment"] == environment
        ]
        return self._answer(asked, bought, environment)

    def _answer(self, asked: Claims, bought: list[Order], environment: str) -> Claims:
        subscriptions = [order for order in bought if "expiresDate" in order.extra["transaction"]]
        secret = asked.get("password")
        if (subscriptions or secret is not None) and not self._is_secret(secret):
            return {"status": WRONG_SECRET}
        # What the app has finished is gone from a receipt if it was consumable.
        held = [
            order
            for order in bought
            if order.extra["transaction"]["type"] != CONSUMABLE or not order.extra.get("finished")
        ]
        answer: Claims = {
            "status": 0,
            "environment": environment,
            "receipt": self._receipt(held, environment),
        }
        if not subscriptions:
            return answer
        latest = list(reversed(subscriptions))
        if asked.get("exclude-old-transactions") is True:
            latest = [self.transactions.latest(origin) for origin in self._origins(subscriptions)]
        return answer | {
            "latest_receipt": asked["receipt-data"],
            "latest_receipt_info": [_item(order) for order in latest],
            "pending_renewal_info": [
                self._renewal(origin) for origin in self._origins(subscriptions)
            ],
        }

    def _is_secret(self, secret: object) -> bool:
        given = secret.encode() if isinstance(secret, str) else b""
        return compare_digest(given, self.keys.shared_secret.encode())

    def _origins(self, subscriptions: list[Order]) -> list[Order]:
        return [order for order in subscriptions if "subscription" in order.extra]

    def _receipt(self, held: list[Order], environment: str) -> Claims:
        now = self.context.clock.now()
        kind = "ProductionSandbox" if environment == "Sandbox" else "Production"
        sold_as = 0 if environment == "Sandbox" else self.keys.app_apple_id
        return {
            "receipt_type": kind,
            "adam_id": sold_as,
            "app_item_id": sold_as,
            "bundle_id": self.keys.bundle_id,
            "application_version": "1.0",
            "in_app": [_item(order) for order in held],
        } | _dated("request_date", millis(now))

    def _renewal(self, origin: Order) -> Claims:
        state, claims = origin.extra["subscription"], origin.extra["transaction"]
        content = {
            "original_transaction_id": claims["originalTransactionId"],
            "product_id": self.transactions.latest(origin).extra["transaction"]["productId"],
            "auto_renew_product_id": state["renews_as"],
            "auto_renew_status": str(int(state["auto_renew"])),
        }
        if state["status"] != ACTIVE:
            content["is_in_billing_retry_period"] = str(int(state["status"] == BILLING_RETRY))
        if intent := state.get("expiration_intent"):
            content["expiration_intent"] = str(intent)
        return content


def _opened(receipt: str) -> tuple[bytes, bytes]:
    parts = json.loads(base64.b64decode(receipt, validate=True))
    content, signature = (base64.b64decode(part, validate=True) for part in parts)
    return content, signature


def _item(order: Order) -> Claims:
    claims = order.extra["transaction"]
    content: Claims = {
        name: str(claims[claim]) for name, claim in NAMES.items() if claims.get(claim) is not None
    }
    for name, claim in DATES.items():
        if claim in claims:
            content |= _dated(name, claims[claim])
    return content


def _dated(name: str, milliseconds: int) -> dict[str, Any]:
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return {name: f"{at:%Y-%m-%d %H:%M:%S} Etc/GMT", f"{name}_ms": str(milliseconds)}
